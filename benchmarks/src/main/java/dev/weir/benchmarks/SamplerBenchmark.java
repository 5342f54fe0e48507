package dev.weir.benchmarks;

import dev.weir.runtime.ModelOptions;
import dev.weir.runtime.Sampling;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What choosing a token costs. The sampler runs only inside a step, so the step is made as small as
 * it gets around it: one layer of stories260K's shape, with Llama-2's vocabulary of 32,000. What a
 * way to sample costs beyond the most likely token is its time less that of {@code greedy}. The
 * weights are random, so all tokens are about as likely: for top-p, which keeps the fewest tokens
 * that make up 95 %, that is the worst case, where real text leaves it a few hundred.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 1,
    jvmArgsAppend = {"--enable-native-access=ALL-UNNAMED"})
public class SamplerBenchmark {
  private static final String CONFIG =
      """
      {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 172,
        "num_hidden_layers": 1,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "vocab_size": 32000,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-05,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": true,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "torch_dtype": "float32"
      }
      """;

  private static final int SHORTEST_CONTEXT = 16;
  private static final int LONGEST_CONTEXT = 48;

  @Param("cpu")
  String device;

  @Param({"greedy", "temperature", "top-k", "top-p", "repetition-penalty"})
  String sampling;

  @Param({"1", "64"})
  int sequences;

  private BenchmarkModel model;
  private DecodeBatch batch;

  @Setup
  public void open() throws IOException {
    Path folder = Files.createTempDirectory("weir-sampler");
    Path config = folder.resolve("config.json");
    try {
      Files.writeString(config, CONFIG);
      model = BenchmarkModel.open(BenchmarkModel.device(device), folder, ModelOptions.random(1));
    } finally {
      Files.deleteIfExists(config);
      Files.delete(folder);
    }
    batch =
        new DecodeBatch(model, sequences, SHORTEST_CONTEXT, LONGEST_CONTEXT, sampling(sampling));
  }

  @TearDown
  public void close() {
    batch.close();
    model.close();
  }

  private static Sampling sampling(String name) {
    Sampling warm = Sampling.greedy().withTemperature(0.8f).withSeed(1);
    return switch (name) {
      case "greedy" -> Sampling.greedy();
      case "temperature" -> warm;
      case "top-k" -> warm.withTopK(40);
      case "top-p" -> warm.withTopP(0.95f);
      case "repetition-penalty" -> Sampling.greedy().withRepetitionPenalty(1.1f);
      default -> throw new IllegalArgumentException("'" + name + "' is no way to sample");
    };
  }

  @Benchmark
  public int step() {
    return batch.decode();
  }
}
