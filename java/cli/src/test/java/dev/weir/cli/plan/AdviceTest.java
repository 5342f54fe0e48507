package dev.weir.cli.plan;

import static org.assertj.core.api.Assertions.assertThat;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.simulation.LinearIterationTime;
import dev.weir.simulation.capacity.LengthMoments;
import dev.weir.simulation.capacity.StableRegion;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

/**
 * Prompt 200, output 99: W = 100 * 249.5 = 24,950 token-iterations. A pool of 50,000 tokens and 10
 * ms + 0.4 us a token: mu = 50,000 / (24,950 * 0.03) = 66.8 requests/s.
 */
class AdviceTest {
  private static String advice(int blocks, int sequences, int tokens, double rate) {
    StableRegion region =
        StableRegion.of(
            new LinearIterationTime(new IterationCost(0.01, 4e-7)),
            LengthMoments.of(new int[] {200}, new int[] {99}),
            new KvCapacity(blocks, 10, 0),
            new BatchLimits(sequences, tokens));
    return Advice.of(region, rate > 0 ? OptionalDouble.of(rate) : OptionalDouble.empty());
  }

  @Test
  void saysWhatIsLeft() {
    assertThat(advice(5000, 1000, 10_000, 40))
        .isEqualTo("Serves 66.8 requests/s at most; you ask for 40: stable with 40 % to spare.");
    assertThat(advice(5000, 1000, 10_000, 63))
        .contains("stable, but with only 5 % to spare, too little for bursts");
    assertThat(advice(5000, 1000, 10_000, 0))
        .isEqualTo("Serves 66.8 requests/s at most, bound by KV memory.");
  }

  /** At 80/s: rho = 4e-7 * 80 * 24,950 = 0.7984; M* = 0.01 / 0.2016 * 80 * 24,950 = 99,008. */
  @Test
  void saysHowMuchMemoryIsMissing() {
    assertThat(advice(5000, 1000, 10_000, 80))
        .isEqualTo(
            "Unstable at 80 requests/s: needs 2.0 x the KV memory, or 2 replicas, or at most 66.8"
                + " requests/s.");
    // 99,008 tokens are 99,008 * 100 / 24,950 = 396.8 requests.
    assertThat(advice(5000, 300, 10_000, 80))
        .contains("needs 2.0 x the KV memory with --max-sequences 397, or 2 replicas");
  }

  @Test
  void saysWhenNoMemoryIsEnough() {
    // rho = 4e-7 * 150 * 24,950 = 1.497
    assertThat(advice(5000, 1000, 10_000, 150))
        .isEqualTo(
            "Unstable at 150 requests/s: the tokens alone take 1.5 times the time there is, so no"
                + " memory is enough; needs 3 replicas, or at most 66.8 requests/s.");
  }

  @Test
  void namesTheLimitThatIsInTheWay() {
    // 100 sequences hold 24,950 tokens: mu = 100 / (100 * 0.01998) = 50.05.
    assertThat(advice(5000, 100, 10_000, 80))
        .contains("needs --max-sequences 397 instead of 100 with 2.0 x the KV memory")
        .contains("or at most 50.1 requests/s");
    // 299 tokens admit one request an iteration: mu = 1 / 0.01998; 99,008 tokens need 3.97 of them.
    assertThat(advice(20_000, 1000, 299, 80))
        .contains("needs --max-batch-tokens 1187 instead of 299, or 2 replicas");
  }
}
