package dev.weir.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ProfilerToolTest {
  @TempDir Path folder;

  @Test
  void returnsStatusAndBothOutputs() throws Exception {
    ProfilerTool shell = new ProfilerTool("sh", Path.of("/bin/sh"));

    ProfilerTool.Output output = shell.run(List.of("-c", "echo out; echo err >&2; exit 3"));

    assertThat(output.status()).isEqualTo(3);
    assertThat(output.text()).isEqualTo("out\nerr\n");
  }

  @Test
  void keepsTheEndOfMuchOutput() throws Exception {
    Path file = Files.writeString(folder.resolve("log"), "x".repeat(200_000) + "\u001b[0mlast\n");

    assertThat(ProfilerTool.end(file)).endsWith("x[0mlast\n").hasSizeLessThan(70_000);
  }

  @Test
  void makesNamesOfFiles() {
    assertThat(ProfilerTool.fileName("dev.weir.B.run-Mode-model=../../x y;é"))
        .isEqualTo("dev.weir.B.run-Mode-model-..-..-x-y");
    assertThat(ProfilerTool.fileName("../" + "n".repeat(500))).hasSize(150).startsWith("nnn");
  }

  @Test
  void splitsArguments() {
    assertThat(ProfilerTool.words(null)).isEmpty();
    assertThat(ProfilerTool.words("--a --b=\"c d\"")).containsExactly("--a", "--b=c d");
  }
}
