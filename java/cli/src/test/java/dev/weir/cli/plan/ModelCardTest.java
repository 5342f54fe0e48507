package dev.weir.cli.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.weir.runtime.Model;
import dev.weir.runtime.ModelInfo;
import dev.weir.runtime.ModelOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ModelCardTest {
  private static final Path MODELS = Path.of(System.getProperty("weir.root"), "models");

  @TempDir Path folder;

  /**
   * Llama-2-7B: keys and values 2 * 32 layers * 4096 * 2 bytes = 524,288 a token; 32 * (4 * 4096^2
   * + 3 * 4096 * 11008 + 2 * 4096) + 4096 + 2 * 32000 * 4096 = 6,738,415,616 weights.
   */
  @Test
  void llama2HasItsPublishedSizes() throws IOException {
    ModelCard card = ModelCard.read("llama-2-7b");
    assertThat(card.kvBytesPerToken(NumberFormat.FP16)).isEqualTo(524_288);
    assertThat(card.kvBytesPerToken(NumberFormat.FP8)).isEqualTo(262_144);
    assertThat(card.parameters()).isEqualTo(6_738_415_616L);
    assertThat(card.weightBytes(NumberFormat.BF16)).isEqualTo(13_476_831_232L);
    // 2048 tokens * (2 * 4096 + 96 * 128 + 2 * 11008) * 2 bytes + 256 * 32000 logits * 4 bytes
    assertThat(card.activationBytes(NumberFormat.FP16, 2048, 256)).isEqualTo(206_831_616);
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama-2-7b", "stories260K"})
  void theNativeLibrarySaysTheSame(String model) throws IOException {
    ModelInfo info = Model.inspect(MODELS.resolve(model), ModelOptions.random(0));
    ModelCard card = ModelCard.read(MODELS.resolve(model).toString());
    assertThat(card.parameters()).isEqualTo(info.parameters());
    assertThat(card.kvBytesPerToken(NumberFormat.FP32)).isEqualTo(info.kvBytesPerToken());
    assertThat(card.contextLength()).isEqualTo(info.contextLength());
    assertThat(card.hasShapeOf(ModelCard.read(model))).isTrue();
  }

  @Test
  void whatIsMissingIsNamed() throws IOException {
    Files.writeString(
        folder.resolve("config.json"), "{\"hidden_size\": 64, \"num_attention_heads\": 0}");
    assertThatThrownBy(() -> ModelCard.read(folder.toString()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("num_attention_heads is 0, must be a whole number of at least 1");
    assertThatThrownBy(() -> ModelCard.read(folder.resolve("nowhere").toString()))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("no folder with config.json and none of [llama-2-7b, stories260K]");
  }

  @Test
  void sizesThatNoModelHasAreRefused() throws IOException {
    Files.writeString(
        folder.resolve("config.json"),
        """
        {"hidden_size": 2000000000, "num_attention_heads": 2000000000, "num_hidden_layers": 2000000000,
         "intermediate_size": 2000000000, "vocab_size": 2000000000,
         "max_position_embeddings": 2000000000}
        """);
    assertThatThrownBy(() -> ModelCard.read(folder.toString()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("describes more than 1000000000000000 weights");
  }
}
