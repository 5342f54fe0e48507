package dev.weir.simulation.experiment;

import dev.weir.scheduling.KvCapacity;
import java.util.Arrays;
import java.util.random.RandomGenerator;

/**
 * The probability of an overflow as nobody can know it better who does not know the lengths: from
 * the true distribution of the output, by drawing.
 */
final class SampledForecast {
  private static final int STEP = 8;

  private final int[] outputs;
  private final int draws;

  /**
   * What the residents come to need.
   *
   * @param worstIteration the largest probability that a single iteration has of needing more than
   *     the pool, of every eighth iteration
   * @param anyIteration the probability that some iteration needs more than the pool
   */
  record Overflow(double worstIteration, double anyIteration) {}

  /**
   * @param lengths of the workload; prompt and output count as independent
   * @param draws for each forecast, at least 1
   */
  SampledForecast(RequestLengths lengths, int draws) {
    this.outputs = lengths.outputTokens();
    Arrays.sort(outputs);
    this.draws = draws;
  }

  Overflow overflow(KvCapacity memory, Residents residents, RandomGenerator random) {
    int longest = outputs[outputs.length - 1];
    int[] over = new int[longest / STEP + 1];
    int ever = 0;
    for (int draw = 0; draw < draws; draw++) {
      int[] ends = new int[residents.count()];
      for (int i = 0; i < ends.length; i++) {
        int first = longerThan(residents.generatedTokens()[i]);
        ends[i] = outputs[first + random.nextInt(outputs.length - first)];
      }
      Residents drawn = residents.ending(ends);
      ever += drawn.peakBlocks(memory) > memory.blocks() ? 1 : 0;
      for (int i = 0; i < over.length; i++) {
        over[i] += drawn.blocks(memory, 1 + i * STEP) > memory.blocks() ? 1 : 0;
      }
    }
    double worst = Arrays.stream(over).max().orElseThrow();
    return new Overflow(worst / draws, ever / (double) draws);
  }

  /** Index of the first output that is longer. */
  private int longerThan(int tokens) {
    int low = 0;
    int high = outputs.length;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (outputs[middle] <= tokens) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}
