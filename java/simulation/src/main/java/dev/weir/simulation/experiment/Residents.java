package dev.weir.simulation.experiment;

import dev.weir.scheduling.KvCapacity;
import dev.weir.simulation.SimulatedRequest;
import java.util.List;

/**
 * Requests that are in memory together.
 *
 * @param promptTokens of each
 * @param generatedTokens so far, of each
 * @param outputTokens of each in the end, more than {@code generatedTokens}
 */
record Residents(int[] promptTokens, int[] generatedTokens, int[] outputTokens) {

  static Residents of(List<SimulatedRequest> requests) {
    return new Residents(
        requests.stream().mapToInt(request -> request.arrival().promptTokens()).toArray(),
        requests.stream().mapToInt(SimulatedRequest::generatedTokens).toArray(),
        requests.stream().mapToInt(request -> request.arrival().outputTokens()).toArray());
  }

  int count() {
    return promptTokens.length;
  }

  /** The same requests with other output lengths. */
  Residents ending(int[] atTokens) {
    return new Residents(promptTokens, generatedTokens, atTokens);
  }

  /**
   * Blocks that they hold in the iteration {@code step} from now, 1 being the next one, if each
   * computes a token in every iteration, in the first one its prompt, until it ends.
   */
  long blocks(KvCapacity memory, int step) {
    long blocks = 0;
    for (int i = 0; i < count(); i++) {
      if (outputTokens[i] - generatedTokens[i] >= step) {
        blocks += memory.blocksFor((long) promptTokens[i] + generatedTokens[i] + step - 1);
      }
    }
    return blocks;
  }

  /**
   * The most blocks that they hold in any iteration. Between two ends the need only grows, so only
   * the last iteration of each is looked at.
   */
  long peakBlocks(KvCapacity memory) {
    long peak = 0;
    for (int i = 0; i < count(); i++) {
      peak = Math.max(peak, blocks(memory, outputTokens[i] - generatedTokens[i]));
    }
    return peak;
  }
}
