package dev.weir.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.weir.engine.tokenizer.Tokenizer;
import dev.weir.engine.tokenizer.Tokenizers;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class TextStreamTest {
  /**
   * Against the definition: cut at the first occurrence of any stop string, and never show a part
   * of one.
   */
  @Test
  void cutsWhereTheFirstStopStringBegins() {
    Random random = new Random(11);
    try (Tokenizer tokenizer = Tokenizers.load(TestModel.STORIES)) {
      int stoppedRounds = 0;
      for (int round = 0; round < 2000; round++) {
        String text = randomText(random, 30);
        List<String> stops = List.of(randomText(random, 4), randomText(random, 6));
        TextStream stream = new TextStream(tokenizer.decoder(1), stops);
        StringBuilder shown = new StringBuilder();
        for (int id : tokenizer.encode(text)) {
          if (!stream.stopped()) {
            shown.append(stream.append(id));
          }
        }
        if (!stream.stopped()) {
          shown.append(stream.finish());
        }
        int cut = stops.stream().mapToInt(text::indexOf).filter(i -> i >= 0).min().orElse(-1);
        assertThat(stream.stopped()).isEqualTo(cut >= 0);
        assertThat(shown.toString())
            .as("%s in %s", stops, text)
            .isEqualTo(cut < 0 ? text : text.substring(0, cut));
        stoppedRounds += cut >= 0 ? 1 : 0;
      }
      assertThat(stoppedRounds).isBetween(200, 1800);
    }
  }

  private static String randomText(Random random, int longest) {
    String alphabet = "ab ";
    StringBuilder text = new StringBuilder("a");
    for (int i = random.nextInt(longest); i > 0; i--) {
      text.append(random.nextInt(15) == 0 ? "🐱" : alphabet.charAt(random.nextInt(3)));
    }
    return text.toString();
  }
}
