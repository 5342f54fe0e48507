package dev.weir.scheduling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

class SchedulerOptionsTest {
  private final SchedulerOptions options =
      SchedulerOptions.of(Map.of("share", "0.25", "count", "7", "list", "10, 20,40", "bad", "x"));

  @Test
  void readsWhatIsThere() {
    assertThat(options.getDouble("share", 1, 0, 1)).isEqualTo(0.25);
    assertThat(options.getInt("count", 1, 0, 10)).isEqualTo(7);
    assertThat(options.getIntList("list", 1, 100)).containsExactly(10, 20, 40);
    assertThat(options.has("share")).isTrue();
  }

  @Test
  void takesTheDefaultForWhatIsNot() {
    assertThat(options.getDouble("other", 0.5, 0, 1)).isEqualTo(0.5);
    assertThat(options.getInt("other", 3, 0, 10)).isEqualTo(3);
    assertThat(options.getIntList("other", 1, 100)).isEmpty();
    assertThat(options.has("other")).isFalse();
    assertThat(SchedulerOptions.none().has("share")).isFalse();
  }

  @Test
  void namesTheOptionThatIsWrong() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> options.getDouble("bad", 1, 0, 1))
        .withMessage("scheduler option bad=x is not a number");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> options.getDouble("count", 1, 0, 1))
        .withMessage("scheduler option count=7 is not in 0.0..1.0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> options.getInt("share", 1, 0, 1))
        .withMessage("scheduler option share=0.25 is not a whole number");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> options.getInt("count", 1, 0, 6))
        .withMessage("scheduler option count=7 is not in 0..6");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> options.getIntList("bad", 1, 6))
        .withMessage("scheduler option bad=x: 'x' is not a whole number");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> options.getIntList("list", 1, 30))
        .withMessage("scheduler option list=10, 20,40: 40 is not in 1..30");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> SchedulerOptions.of(Map.of("nan", "NaN")).getDouble("nan", 1, 0, 1));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> SchedulerOptions.of(Map.of("list", "1,,2")).getIntList("list", 1, 9));
  }

  @Test
  void refusesUnknownNames() {
    options.rejectUnknown("any", Set.of("share", "count", "list", "bad"));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> options.rejectUnknown("any", Set.of("share", "list")))
        .withMessage("scheduler 'any' has no option [bad, count]; it has [list, share]");
  }

  @Test
  void setsOneOptionMore() {
    SchedulerOptions options = SchedulerOptions.of(Map.of("a", "1", "b", "2"));
    assertThat(options.with("b", "3").with("c", "4")).hasToString("{a=1, b=3, c=4}");
    assertThat(options).hasToString("{a=1, b=2}");
  }
}
