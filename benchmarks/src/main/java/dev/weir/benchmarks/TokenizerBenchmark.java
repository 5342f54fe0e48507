package dev.weir.benchmarks;

import dev.weir.engine.tokenizer.StreamingDecoder;
import dev.weir.engine.tokenizer.Tokenizer;
import dev.weir.engine.tokenizer.Tokenizers;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
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
 * Text into tokens and back, by the tokenizer of a model folder: a prompt, a whole answer, and the
 * tokens of an answer one by one as the engine streams them. {@code tokens} are tokens a second.
 * Encoding and decoding return a new array or string; a streamed token that is whole characters
 * allocates nothing.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 1,
    jvmArgsAppend = {"--enable-native-access=ALL-UNNAMED"})
public class TokenizerBenchmark {
  private static final String SENTENCE =
      "Once upon a time there was a small boat that wanted to see where the river ends. ";

  /** Tokens, which JMH divides by the time. */
  @State(Scope.Thread)
  @AuxCounters(AuxCounters.Type.OPERATIONS)
  public static class Counters {
    public long tokens;

    @Setup(Level.Iteration)
    public void clear() {
      tokens = 0;
    }
  }

  /** A folder with a tokenizer; a relative one is looked for under models/. */
  @Param("stories260K")
  String model;

  /** Length of the text, in sentences of 81 characters. */
  @Param({"1", "50"})
  int sentences;

  private Tokenizer tokenizer;
  private String text;
  private int[] ids;
  private StreamingDecoder decoder;

  @Setup
  public void load() {
    Path folder = BenchmarkModel.bundled(model);
    tokenizer = Tokenizers.load(folder);
    text = SENTENCE.repeat(sentences);
    int[] encoded = tokenizer.encode(text);
    // Without the begin-of-sequence token, which would begin another text in every pass.
    ids = Arrays.copyOfRange(encoded, 1, encoded.length);
    decoder = tokenizer.decoder(encoded);
  }

  @TearDown
  public void close() {
    tokenizer.close();
  }

  @Benchmark
  public int[] encode(Counters counters) {
    counters.tokens += ids.length;
    return tokenizer.encode(text);
  }

  @Benchmark
  public String decode(Counters counters) {
    counters.tokens += ids.length;
    return tokenizer.decode(ids);
  }

  /** Returns the characters that came out. */
  @Benchmark
  public int stream(Counters counters) {
    int characters = 0;
    for (int id : ids) {
      characters += decoder.append(id).length();
    }
    counters.tokens += ids.length;
    return characters;
  }
}
