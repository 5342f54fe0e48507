package dev.weir.simulation;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import java.util.stream.IntStream;

/**
 * The paper's {@code d0 + d1 * M} in place of a richer model of the time of an iteration, and how
 * far it is off.
 *
 * <p>The errors are taken over a grid: 1, 2, 4, ... requests up to the most in an iteration, each
 * with a context of 1, 2, 4, ... tokens up to the longest, both ends included, as far as the pool
 * holds them together. So each order of magnitude has the same weight.
 *
 * @param cost {@code d0} and {@code d1}
 * @param decode over batches in which all requests decode
 * @param mixed over batches in which one more request computes 1, 2, 4, ... tokens of its prompt,
 *     up to what the budget of tokens and the pool leave; the prompt alone among them
 */
public record Linearisation(IterationCost cost, Residual decode, Residual mixed) {
  /**
   * Relative errors {@code |d0 + d1 M - t| / t}, where {@code t} is the time by the richer model.
   *
   * @param max the largest
   * @param rootMeanSquare over all batches
   * @param batches how many were compared; 0, and no error, if the limits allow none
   */
  public record Residual(double max, double rootMeanSquare, int batches) {}

  private static final class Errors {
    private double max;
    private double squares;
    private int batches;

    void add(IterationCost cost, IterationTime time, BatchShape batch) {
      double expected = time.seconds(batch);
      double error = Math.abs(cost.seconds(batch.context()) - expected) / expected;
      max = Math.max(max, error);
      squares += error * error;
      batches++;
    }

    Residual residual() {
      return new Residual(max, batches == 0 ? 0 : Math.sqrt(squares / batches), batches);
    }
  }

  /**
   * How far a line is off over all batches that the limits allow.
   *
   * @param longestContext the most tokens of one request in the cache, at least 1
   */
  public static Linearisation of(
      IterationTime time,
      IterationCost cost,
      KvCapacity memory,
      BatchLimits limits,
      int longestContext) {
    Errors decode = new Errors();
    Errors mixed = new Errors();
    addPrompts(mixed, cost, time, 0, 0, memory, limits, longestContext);
    for (int requests : doubling(Math.min(limits.maxSequences(), limits.maxTokens()))) {
      long most = Math.min(longestContext, memory.tokens() / requests);
      for (int context : doubling((int) most)) {
        BatchShape batch = decoding(requests, context);
        decode.add(cost, time, batch);
        if (requests < limits.maxSequences()) {
          addPrompts(mixed, cost, time, requests, context, memory, limits, longestContext);
        }
      }
    }
    return new Linearisation(cost, decode.residual(), mixed.residual());
  }

  private static void addPrompts(
      Errors errors,
      IterationCost cost,
      IterationTime time,
      int requests,
      int context,
      KvCapacity memory,
      BatchLimits limits,
      int longestContext) {
    long room = memory.tokens() - (long) requests * context;
    long most = Math.min(Math.min(limits.maxTokens() - requests, longestContext), room);
    for (int tokens : doubling((int) most)) {
      BatchShape batch = decoding(requests, context);
      batch.addPrefill(tokens, 0);
      errors.add(cost, time, batch);
    }
  }

  private static BatchShape decoding(int requests, int context) {
    BatchShape batch = new BatchShape();
    for (int i = 0; i < requests; i++) {
      batch.addDecode(context);
    }
    return batch;
  }

  /** 1, 2, 4, ..., {@code last}; empty if {@code last < 1}. */
  private static int[] doubling(int last) {
    return IntStream.concat(
            IntStream.iterate(1, n -> n > 0 && n < last, n -> 2 * n),
            IntStream.of(last).filter(n -> n > 0))
        .toArray();
  }
}
