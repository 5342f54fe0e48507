package dev.weir.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;

@Isolated("the long run looks at the heap")
class MainTest {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream errors = new ByteArrayOutputStream();

  private int run(String... arguments) {
    return Main.run(
        List.of(arguments),
        new PrintStream(out, true, StandardCharsets.UTF_8),
        new PrintStream(errors, true, StandardCharsets.UTF_8));
  }

  @Test
  void printsTheCardOfASchedulerWithOptions() {
    assertThat(run("fcfs", "watermark=0.1")).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8))
        .startsWith("scheduler 'fcfs': 12 of 12 passed");
    assertThat(errors.size()).isZero();
  }

  @Test
  void aFailureIsStatusOne() {
    assertThat(run("capped-fcfs")).isEqualTo(1);
    assertThat(out.toString(StandardCharsets.UTF_8)).contains("needs the option cap");
  }

  @Test
  void argumentsAreChecked() {
    assertThat(run("lifo")).isEqualTo(2);
    assertThat(run("fcfs", "watermark")).isEqualTo(2);
    assertThat(errors.toString(StandardCharsets.UTF_8))
        .contains("no scheduler is named 'lifo'; there are [", "option 'watermark' is not of the");
  }
}
