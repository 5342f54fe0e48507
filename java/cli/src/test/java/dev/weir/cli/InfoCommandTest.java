package dev.weir.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class InfoCommandTest {
  private static final String LLAMA_2_7B =
      Path.of(System.getProperty("weir.root"), "models", "llama-2-7b").toString();

  private static JsonNode info(String... args) throws Exception {
    CommandRun run = CommandRun.of(args);
    assertThat(run.err()).isEmpty();
    assertThat(run.status()).isZero();
    return new ObjectMapper().readTree(run.out());
  }

  @Test
  void namesDevicesAndSchedulers() throws Exception {
    JsonNode info = info("info", "--json");
    assertThat(info.at("/native_library/path").asText()).endsWith(".so");
    assertThat(info.get("devices").findValuesAsText("name"))
        .contains("cpu", "cpu-reference", "cuda");
    for (JsonNode device : info.get("devices")) {
      // Either it is there, or the reason is.
      assertThat(device.get("info").isNull()).isEqualTo(!device.get("available").asBoolean());
      assertThat(device.get("reason").isNull()).isEqualTo(device.get("available").asBoolean());
    }
    assertThat(info.at("/devices/0/available").asBoolean()).isTrue();
    JsonNode monitor = info.get("gpu_monitor");
    if (!monitor.get("available").asBoolean()) {
      assertThat(monitor.get("reason").asText()).contains(".so");
      assertThat(monitor.get("gpus")).isEmpty();
    }
    assertThat(info.get("schedulers").findValuesAsText("name")).contains("fcfs", "nested-wait");
    assertThat(info.get("model").isNull()).isTrue();
  }

  /**
   * Llama-2-7B: 6,738,415,616 parameters; 2 * 32 layers * 4096 * 4 bytes = 1 MiB of KV a token in
   * fp32, half of it in the other two. In int8 a byte a weight, another one for each of the 32,000
   * * 4096 numbers of the table, 8 for each of the 32 * (12,288 + 4096 + 22,016 + 4096) + 32,000
   * outputs. In each of them 65 norms of 4096 in 32-bit floats, which the parameters count with the
   * bytes of the others, and 2 * 4096 positions * 128 * 4 bytes of rotations.
   */
  @ParameterizedTest
  @CsvSource({
    "fp32, 1048576, 26957856768, 20",
    "bf16, 524288, 13481558016, 40",
    "int8, 524288, 6885615616, 40"
  })
  void sizesAModelFromItsCard(
      String precision, long kvBytesPerToken, long weightMemoryBytes, int requests)
      throws Exception {
    assumeTrue(
        precision.equals("fp32") || hasBfloat16(),
        "the processor does not compute in " + precision);
    JsonNode model =
        info(
                "info",
                "--json",
                "--model",
                LLAMA_2_7B,
                "--random-weights",
                "--precision",
                precision,
                "--kv-bytes",
                "40GiB",
                "--context",
                "2048")
            .get("model");
    assertThat(model.at("/shape/parameters").asLong()).isEqualTo(6_738_415_616L);
    assertThat(model.get("precision").asText()).isEqualToIgnoringCase(precision);
    JsonNode memory = model.get("memory");
    assertThat(memory.get("kv_block_bytes").asLong()).isEqualTo(16 * kvBytesPerToken);
    assertThat(memory.get("weights").asLong()).isEqualTo(weightMemoryBytes);
    assertThat(memory.get("kv_blocks").asLong()).isEqualTo(128L * requests);
    assertThat(memory.get("kv_tokens").asLong()).isEqualTo(2048L * requests);
    assertThat(memory.get("largest_batch").asLong()).isEqualTo(requests);
  }

  private static boolean hasBfloat16() throws Exception {
    return info("info", "--json").at("/devices/0/info/precision").asText().equals("BF16");
  }

  @Test
  void theBudgetAddsUp() throws Exception {
    JsonNode memory =
        info("info", "--json", "--model", CommandRun.MODEL, "--kv-rest", "--reserve-memory", "64M")
            .at("/model/memory");
    long available = memory.get("device_available").asLong();
    assertThat(memory.get("other_users").asLong() + available)
        .isEqualTo(memory.get("device_total").asLong());
    assertThat(memory.get("kv_available").asLong())
        .isEqualTo(
            available
                - memory.get("weights").asLong()
                - memory.get("workspace").asLong()
                - memory.get("graphs").asLong());
    assertThat(memory.get("fits").asBoolean()).isTrue();
    // No more than 256 sequences of 512 tokens can use.
    assertThat(memory.get("kv_blocks").asLong()).isEqualTo(256 * 32);
    assertThat(memory.get("kv_bytes").asLong())
        .isEqualTo(memory.get("kv_blocks").asLong() * memory.get("kv_block_bytes").asLong());
  }

  @Test
  void whatDoesNotFitIsSaid() throws Exception {
    JsonNode memory =
        info("info", "--json", "--model", LLAMA_2_7B, "--random-weights", "--kv-bytes", "100TiB")
            .at("/model/memory");
    assertThat(memory.get("fits").asBoolean()).isFalse();
    assertThat(memory.get("complaint").asText()).contains("bytes of memory are needed");
    CommandRun run =
        CommandRun.of(
            "info", "--model", CommandRun.MODEL, "--kv-bytes", "100TiB", "--precision", "fp32");
    assertThat(run.status()).isZero();
    assertThat(run.out()).contains("DOES NOT FIT").contains("Set --kv-blocks to at most");
  }

  @Test
  void aModelIsSizedForThePrecisionOfTheCpu() throws Exception {
    JsonNode info = info("info", "--json", "--model", CommandRun.MODEL);
    assertThat(info.at("/model/precision")).isEqualTo(info.at("/devices/0/info/precision"));
  }

  @Test
  void isReadable() {
    CommandRun run =
        CommandRun.of(
            "info", "--model", CommandRun.MODEL, "--kv-blocks", "100", "--precision", "fp32");
    assertThat(run.out())
        .contains(
            "devices", "GPUs by the driver", "schedulers", "nested-wait", "260,032", "512 tokens")
        .contains("memory of cpu", "fp32 (--precision)", "KV as the model computes")
        .contains("  total ", "  other users ", "  weights ", "  workspace ", "  graphs ")
        .contains("100 of 16 tokens, 20.0 KiB each", "  tokens      1,600")
        .contains("at most 3 requests of 512 tokens");
  }
}
