package dev.weir.benchmarks.peers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LlamaCppTest {
  /** As llama-batched-bench v0.5.0 wrote it, numbers shortened. */
  private static final String OUTPUT =
      """

      {"n_kv_max": 2048, "pp": 128, "tg": 1, "pl": 16, "speed_pp": 180.1, "speed_tg": 70.5}
      {"n_kv_max": 2048, "pp": 128, "tg": 16, "pl": 16, "speed_pp": 248.5, "speed_tg": 134.7}

      """;

  @TempDir private Path folder;

  @Test
  void readsTheRunThatIsNotTheWarmUp() throws PeerException {
    assertThat(LlamaCpp.parse(OUTPUT, new Point(128, 16))).isEqualTo(new Rates(248.5, 134.7));
  }

  @Test
  void aRunThatIsMissingIsAnErrorWithWhatWasWritten() {
    assertThatThrownBy(() -> LlamaCpp.parse(OUTPUT, new Point(512, 16)))
        .isInstanceOf(PeerException.class)
        .hasMessageContaining("context=512")
        .hasMessageContaining("134.7");
  }

  @Test
  void aProgramThatWasNotBuiltIsNotFound() {
    assertThat(LlamaCpp.find(folder, 2)).isEmpty();
  }

  @Test
  void eachSequenceHasWholeCellsOfItsOwn() throws Exception {
    Path program = folder.resolve("llama.cpp-build/bin/llama-batched-bench");
    Files.createDirectories(program.getParent());
    Files.createFile(program);
    assertThat(program.toFile().setExecutable(true)).isTrue();

    LlamaCpp llama = LlamaCpp.find(folder, 2).orElseThrow();

    assertThat(llama.command(Path.of("m.gguf"), new Point(512, 64), false))
        .containsSubsequence("--no-kv-unified", "--ctx-size", "49152")
        .containsSubsequence("-ntg", "1,16");
  }
}
