package dev.weir.engine;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.gson.Gson;
import dev.weir.runtime.Precision;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** The bundled model and the files made by others that say what it has to give. */
public final class TestModel {
  private static final Path ROOT =
      Path.of(System.getProperty("weir.root", "../..")).toAbsolutePath().normalize();

  public static final Path STORIES = ROOT.resolve("models/stories260K");

  /** Has no weights. */
  public static final Path LLAMA_2_7B = ROOT.resolve("models/llama-2-7b");

  private TestModel() {}

  /** A text and its ids, begin-of-sequence token first. */
  public record EncodedText(String text, int[] ids) {
    @Override
    public String toString() {
      return '"' + text + '"';
    }
  }

  /** A prompt and what fp32 arithmetic generates greedily. */
  public record GoldenCase(
      String prompt,
      int[] prompt_ids,
      int[] greedy_ids,
      float[] greedy_margin,
      String greedy_text) {
    /**
     * Steps that rounding cannot change: up to the first whose two best logits are closer than
     * 1e-3.
     */
    public int decidedSteps() {
      for (int step = 0; step < greedy_margin.length; step++) {
        if (greedy_margin[step] < 1e-3) {
          return step;
        }
      }
      return greedy_margin.length;
    }

    @Override
    public String toString() {
      return '"' + prompt + '"';
    }
  }

  /** An engine in the arithmetic of the golden values, which no processor lacks. */
  public static EngineOptions.Builder inFp32() {
    return EngineOptions.builder(STORIES).precision(Precision.FP32);
  }

  private record Golden(GoldenCase[] cases) {}

  public static List<GoldenCase> goldenCases() {
    return List.of(read(STORIES.resolve("golden.json"), Golden.class).cases());
  }

  public static List<EncodedText> encodedTexts(Path modelDirectory) {
    return List.of(read(modelDirectory.resolve("tokenizer_golden.json"), EncodedText[].class));
  }

  /** The folder of the 32,000-token Llama tokenizer; skips the test where it is not there. */
  public static Path llama2Tokenizer() {
    Path folder = ROOT.resolveSibling("shared").resolve("models/llama2-tokenizer");
    assumeTrue(
        Files.isDirectory(folder),
        "Meta's Llama 2 tokenizer may not be shipped; skipped because " + folder + " is not there");
    return folder;
  }

  private static <T> T read(Path file, Class<T> type) {
    try {
      return new Gson().fromJson(Files.readString(file), type);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
