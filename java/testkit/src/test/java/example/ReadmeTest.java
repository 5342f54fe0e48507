package example;

import static org.assertj.core.api.Assertions.assertThat;

import dev.weir.testkit.ConformanceProperty;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The README's programs are the ones that are compiled and run by tests. */
class ReadmeTest {
  private static final Path MODULE = Path.of(System.getProperty("weir.root"), "java/testkit");

  @Test
  void theReadmeShowsTheTestAndTheScheduler() throws IOException {
    assertThat(blocks("java"))
        .containsExactly(source("MySchedulerConformanceTest.java"), source("MyScheduler.java"));
  }

  @Test
  void theReadmeStatesEveryRule() throws IOException {
    String readme = Files.readString(MODULE.resolve("README.md"));
    for (ConformanceProperty property : ConformanceProperty.values()) {
      assertThat(readme).contains("| " + property.title() + " | " + property.rule() + " |\n");
    }
  }

  private static String source(String file) throws IOException {
    return Files.readString(MODULE.resolve("src/test/java/example").resolve(file));
  }

  private static List<String> blocks(String language) throws IOException {
    return Pattern.compile("(?ms)^```" + language + "\n(.*?)^```$")
        .matcher(Files.readString(MODULE.resolve("README.md")))
        .results()
        .map(result -> result.group(1))
        .toList();
  }
}
