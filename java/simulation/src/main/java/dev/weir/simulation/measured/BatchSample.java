package dev.weir.simulation.measured;

import dev.weir.simulation.BatchGroup;
import dev.weir.simulation.BatchNotation;
import dev.weir.simulation.BatchShape;
import java.util.List;

/**
 * What one batch took on a device.
 *
 * @param groups the batch
 * @param heldOut whether the fit must not look at it, so that it tells how well the fit predicts
 * @param seconds each repetition in its order; all finite and greater than 0
 */
public record BatchSample(List<BatchGroup> groups, boolean heldOut, List<Double> seconds) {
  /** Copies the lists and checks the times. */
  public BatchSample {
    groups = List.copyOf(groups);
    seconds = List.copyOf(seconds);
    if (groups.isEmpty() || seconds.isEmpty()) {
      throw new IllegalArgumentException("a sample needs a batch and at least one time");
    }
    for (double time : seconds) {
      if (!(time > 0 && time < Double.POSITIVE_INFINITY)) {
        throw new IllegalArgumentException(
            "batch "
                + BatchNotation.write(groups)
                + " has a time of "
                + time
                + " s, must be finite and greater than 0");
      }
    }
  }

  /** The median of the repetitions; of an even number the mean of the two in the middle. */
  public double median() {
    double[] sorted = seconds.stream().mapToDouble(Double::doubleValue).sorted().toArray();
    int middle = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  /** Half of the distance between the quartiles over the median: how much repetitions differ. */
  public double spread() {
    double[] sorted = seconds.stream().mapToDouble(Double::doubleValue).sorted().toArray();
    int quarter = sorted.length / 4;
    return (sorted[sorted.length - 1 - quarter] - sorted[quarter]) / (2 * median());
  }

  /** The sums over its requests. */
  public BatchShape shape() {
    return BatchNotation.shape(groups);
  }

  /** What its requests do. */
  public Region region() {
    return Region.of(shape());
  }

  /** The batch in the notation of {@link BatchNotation}. */
  public String batch() {
    return BatchNotation.write(groups);
  }

  /** The batch in words, also if its requests are all different. */
  public String description() {
    BatchShape shape = shape();
    StringBuilder text = new StringBuilder();
    if (shape.decodes() > 0) {
      text.append(shape.decodes())
          .append(" decoding, context ")
          .append(shape.decodeContext() / shape.decodes());
    }
    if (shape.prefills() > 0) {
      long cached =
          groups.stream()
              .filter(group -> !group.decodes())
              .mapToLong(group -> (long) group.requests() * group.cached())
              .sum();
      text.append(text.isEmpty() ? "" : " + ")
          .append(shape.prefills() == 1 ? "" : shape.prefills() + " x ")
          .append("prefill ")
          .append(shape.prefillTokens() / shape.prefills());
      if (cached > 0) {
        text.append(" after ").append(cached / shape.prefills());
      }
    }
    return text.toString();
  }
}
