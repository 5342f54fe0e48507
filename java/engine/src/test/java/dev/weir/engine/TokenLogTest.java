package dev.weir.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class TokenLogTest {
  private static final TokenLogProbability[] NONE = {};

  /** Token 0 prints nothing by itself, every other one its number. */
  private static String vocabulary(int id) {
    return id == 0 ? null : Integer.toString(id);
  }

  @Test
  void givesBackWhatWasAddedInWhateverOrderColumnsBegin() {
    for (int firstText : new int[] {0, 15, 16, 33}) {
      for (int firstTop : new int[] {0, 15, 16, 33}) {
        TokenLog log = new TokenLog(TokenLogTest::vocabulary);
        List<GeneratedToken> added = new ArrayList<>();
        for (int i = 0; i < 70; i++) {
          int id = i % 5;
          String text =
              i >= firstText && i % 3 == 0 ? "own " + i : i >= firstText ? "" : textOf(id);
          TokenLogProbability[] top =
              i >= firstTop && i % 2 == 0
                  ? new TokenLogProbability[] {new TokenLogProbability(id, -i)}
                  : NONE;
          log.add(id, text, -0.5f * i, top, 1000L + i);
          added.add(new GeneratedToken(id, text, -0.5f * i, List.of(top), 1000L + i));
          assertThat(log.count()).isEqualTo(i + 1);
        }
        for (int i = 0; i < 70; i++) {
          assertThat(log.get(i)).isEqualTo(added.get(i));
        }
      }
    }
  }

  private static String textOf(int id) {
    String text = vocabulary(id);
    return text == null ? "" : text;
  }
}
