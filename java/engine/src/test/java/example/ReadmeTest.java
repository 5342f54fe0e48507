package example;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The README's programs are the ones that are compiled and run by tests. */
class ReadmeTest {
  private static final Path ROOT = Path.of(System.getProperty("weir.root"));
  private static final String HERE = "java/engine/src/test/java/example/";

  @Test
  void theSnippetIsShortAndTellsTheGoldenStory() throws Exception {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                StoryTeller.class.getName())
            .directory(ROOT.toFile())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    String story = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

    assertThat(process.waitFor()).isZero();
    assertThat(story).startsWith(", there was a little girl named Lily.");
    assertThat(javaSnippet().lines()).hasSizeLessThanOrEqualTo(15);
  }

  @Test
  void theReadmeShowsTheSnippet() throws IOException {
    assertThat(blocks("java")).contains(javaSnippet());
  }

  @Test
  void theReadmeShowsTheCProgram() throws IOException {
    String program = Files.readString(ROOT.resolve("native/examples/greedy.c"));
    assertThat(blocks("c")).contains(program);
    assertThat(program.lines()).hasSizeLessThanOrEqualTo(40);
  }

  /** The imports of Weir and the body of main. */
  private static String javaSnippet() throws IOException {
    StringBuilder snippet = new StringBuilder();
    boolean body = false;
    for (String line : Files.readAllLines(ROOT.resolve(HERE + "StoryTeller.java"))) {
      if (line.startsWith("import ")) {
        snippet.append(line).append('\n');
      } else if (line.contains("void main")) {
        body = true;
        snippet.append('\n');
      } else if (line.equals("  }")) {
        body = false;
      } else if (body) {
        snippet.append(line.substring(4)).append('\n');
      }
    }
    return snippet.toString();
  }

  private static List<String> blocks(String language) throws IOException {
    Matcher matcher =
        Pattern.compile("(?ms)^```" + language + "\n(.*?)^```$")
            .matcher(Files.readString(ROOT.resolve("README.md")));
    return matcher.results().map(result -> result.group(1)).toList();
  }
}
