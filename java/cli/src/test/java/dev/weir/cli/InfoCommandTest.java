package dev.weir.cli;

import static org.assertj.core.api.Assertions.assertThat;

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
    assertThat(info.get("schedulers").findValuesAsText("name")).contains("fcfs", "nested-wait");
    assertThat(info.get("model").isNull()).isTrue();
  }

  /**
   * Llama-2-7B: 6,738,415,616 parameters; 2 * 32 layers * 4096 * 4 bytes = 1 MiB of KV a token in
   * fp32, half of it in the other two. In int8 a byte a weight, another one for each of the 32,000
   * * 4096 numbers of the table, 8 for each of the 32 * (12,288 + 4096 + 22,016 + 4096) + 32,000
   * outputs.
   */
  @ParameterizedTest
  @CsvSource({
    "fp32, 1048576, 26953662464, 20",
    "bf16, 524288, 13476831232, 40",
    "int8, 524288, 6880622592, 40"
  })
  void sizesAModelFromItsCard(
      String precision, long kvBytesPerToken, long weightMemoryBytes, int requests)
      throws Exception {
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
                "--tokens",
                "2048")
            .get("model");
    assertThat(model.at("/shape/parameters").asLong()).isEqualTo(6_738_415_616L);
    assertThat(model.get("precision").asText()).isEqualToIgnoringCase(precision);
    assertThat(model.at("/shape/kv_bytes_per_token").asLong()).isEqualTo(kvBytesPerToken);
    assertThat(model.get("weight_memory_bytes").asLong()).isEqualTo(weightMemoryBytes);
    assertThat(model.at("/kv_pool/tokens").asLong()).isEqualTo(2048L * requests);
    assertThat(model.at("/kv_pool/requests").asLong()).isEqualTo(requests);
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
        .contains("devices", "schedulers", "nested-wait", "260,032", "512 tokens")
        .contains("fp32 (--precision)", "in the files, about ", "1.25 KiB")
        .contains("100 blocks of 16 tokens = 1,600 tokens", "at most 3 requests of 512 tokens");
  }
}
