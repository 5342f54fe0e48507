import com.github.tjake.jlama.model.AbstractModel;
import com.github.tjake.jlama.model.ModelSupport;
import com.github.tjake.jlama.safetensors.DType;
import com.github.tjake.jlama.tensor.AbstractTensor;
import com.github.tjake.jlama.tensor.KvBufferCache;
import com.github.tjake.jlama.tensor.operations.TensorOperationsProvider;
import java.io.File;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.StringJoiner;
import java.util.UUID;

/**
 * Measures Jlama with one sequence: a prompt in one call, then decode steps with greedy sampling,
 * as {@code AbstractModel.generate} does them, but with random tokens instead of a text. Prints one
 * line of JSON.
 *
 * <p>Arguments: the folder of the model, the number of threads, decode steps, then the lengths of
 * the prompts. The first prompt runs once before, unmeasured, so that its code is compiled.
 */
public final class JlamaSpeed {
  private final AbstractModel model;
  private final KvBufferCache buffers;
  private final SplittableRandom random = new SplittableRandom(1);

  private record Point(int prompt, double promptSeconds, int steps, double decodeSeconds) {
    String json() {
      return String.format(
          Locale.ROOT,
          "{\"prompt\":%d,\"prompt_seconds\":%.6f,\"steps\":%d,\"decode_seconds\":%.6f}",
          prompt,
          promptSeconds,
          steps,
          decodeSeconds);
    }
  }

  private JlamaSpeed(AbstractModel model) {
    this.model = model;
    this.buffers = new KvBufferCache(model);
  }

  public static void main(String[] arguments) {
    File folder = new File(arguments[0]);
    int threads = Integer.parseInt(arguments[1]);
    int steps = Integer.parseInt(arguments[2]);
    int[] prompts =
        Arrays.stream(arguments).skip(3).mapToInt(Integer::parseInt).toArray();
    // The types that Jlama's own commands take if nothing is said.
    AbstractModel model =
        ModelSupport.loadModel(
            folder, null, DType.F32, DType.I8, Optional.empty(), Optional.of(threads));
    JlamaSpeed speed = new JlamaSpeed(model);
    speed.measure(prompts[0], steps);
    StringJoiner points = new StringJoiner(",", "[", "]");
    for (int prompt : prompts) {
      points.add(speed.measure(prompt, steps).json());
    }
    System.out.println(
        "{\"operations\":\""
            + TensorOperationsProvider.get().name()
            + "\",\"java\":\""
            + Runtime.version()
            + "\",\"points\":"
            + points
            + "}");
    System.exit(0);
  }

  private Point measure(int prompt, int steps) {
    int[] tokens = random.ints(prompt, 3, model.getConfig().vocabularySize).toArray();
    try (KvBufferCache.KvBuffer buffer = buffers.getKvBuffer(UUID.randomUUID());
        AbstractTensor logits = model.makeDenseTensor(model.getConfig().vocabularySize)) {
      long start = System.nanoTime();
      AbstractTensor output = model.batchForward(tokens, 0, buffer);
      int next = model.sample(output.slice(output.shape().first() - 1), 0, 0, logits);
      output.close();
      long decode = System.nanoTime();
      for (int i = 0; i < steps; i++) {
        output = model.forward(next, prompt + i, buffer, Optional.empty());
        next = model.sample(output, 0, 0, logits);
        output.close();
      }
      long end = System.nanoTime();
      return new Point(prompt, (decode - start) / 1e9, steps, (end - decode) / 1e9);
    }
  }
}
