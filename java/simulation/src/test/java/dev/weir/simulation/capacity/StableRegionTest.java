package dev.weir.simulation.capacity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.simulation.ArrivalProcess;
import dev.weir.simulation.IterationTime;
import dev.weir.simulation.LengthDistribution;
import dev.weir.simulation.LinearIterationTime;
import dev.weir.simulation.ProfileIterationTime;
import dev.weir.simulation.Simulation;
import dev.weir.simulation.SimulationListener;
import dev.weir.simulation.SimulationOptions;
import dev.weir.simulation.SimulationResult;
import dev.weir.simulation.SimulationSemantics;
import dev.weir.simulation.SyntheticArrivals;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class StableRegionTest {
  private static final KvCapacity POOL = new KvCapacity(1000, 16, 0);
  private static final BatchLimits WIDE = new BatchLimits(100_000, 1_000_000);
  private static final IterationTime LINEAR =
      new LinearIterationTime(new IterationCost(0.01, 1e-6));

  /** Prompts 100 and 300, outputs 10 and 50: W = (11 * 105 + 51 * 325) / 2 = 8865. */
  private static final LengthMoments TWO =
      LengthMoments.of(new int[] {100, 300}, new int[] {10, 50});

  @Test
  void workIsThatOfTheRequestsAndNotOfIndependentLengths() {
    assertThat(TWO.work()).isEqualTo((11 * 105.0 + 51 * 325.0) / 2);
    assertThat(TWO.prompt()).isEqualTo(200);
    assertThat(TWO.output()).isEqualTo(30);
  }

  @Test
  void longerOutputsAreScaledRequestByRequest() {
    assertThat(TWO.withOutputsTimes(2))
        .isEqualTo(LengthMoments.of(new int[] {100, 300}, new int[] {20, 100}));
  }

  @Test
  void aLinearTimeGivesTheFluidModelItself() {
    StableRegion region = StableRegion.of(LINEAR, TWO, POOL, WIDE);
    // mu = C / (W (d0 + d1 C)) = 16000 / (8865 * 0.026)
    assertThat(region.sustainableRate()).isCloseTo(69.417, within(1e-3));
    assertThat(region.residual()).isZero();
    assertThat(region.bound()).isEqualTo(StableRegion.Bound.KV_MEMORY);
    assertThat(region.at(69).isStable()).isTrue();
    assertThat(region.at(70).isStable()).isFalse();
  }

  @Test
  void fewSequencesOrTokensBoundTheLoadBeforeMemoryDoes() {
    // 10 of 31 stages' worth of requests: 10 * 8865 / 31 tokens.
    StableRegion sequences = StableRegion.of(LINEAR, TWO, POOL, new BatchLimits(10, 1_000_000));
    assertThat(sequences.bound()).isEqualTo(StableRegion.Bound.SEQUENCES);
    assertThat(sequences.usableTokens()).isCloseTo(2859.677, within(1e-3));
    // An admission computes 200 + 30 tokens, so 23 tokens an iteration admit a tenth of a request.
    StableRegion tokens = StableRegion.of(LINEAR, TWO, POOL, new BatchLimits(1000, 23));
    assertThat(tokens.bound()).isEqualTo(StableRegion.Bound.TOKEN_BUDGET);
    assertThat(tokens.usableTokens()).isCloseTo(886.5, within(1e-9));
    assertThat(sequences.requests(sequences.usableTokens())).isCloseTo(10, within(1e-9));
  }

  @Test
  void theLineIsExactForAFullPoolAndCloseBelow() {
    StableRegion region =
        StableRegion.of(
            ProfileIterationTime.a100Llama2(),
            TWO,
            new KvCapacity(4000, 16, 0),
            new BatchLimits(1000, 8192));
    assertThat(region.residual()).isPositive().isLessThan(0.3);
  }

  /** Chunks of prefill in every iteration are what the fluid model reckons with. */
  @Test
  void theSimulatedThroughputInOverloadIsTheSustainableRate() {
    IterationTime time = ProfileIterationTime.a100Llama2();
    KvCapacity pool = new KvCapacity(4000, 16, 0);
    BatchLimits limits = new BatchLimits(256, 512);
    LengthMoments lengths = LengthMoments.of(new int[] {600}, new int[] {150});
    StableRegion region = StableRegion.of(time, lengths, pool, limits);
    double rate = region.sustainableRate();
    SchedulerConfig config =
        new SchedulerConfig(
            pool,
            limits,
            Preemption.RECOMPUTE,
            region.cost(),
            Optional.empty(),
            SchedulerOptions.none());
    SimulationResult result =
        Simulation.run(
            new SimulationOptions(
                "reserve", config, time, SimulationSemantics.WEIR, OptionalInt.empty()),
            new SyntheticArrivals(
                3000,
                ArrivalProcess.parse("poisson:" + 2 * rate),
                LengthDistribution.parse("fixed:600"),
                LengthDistribution.parse("fixed:150"),
                new SplittableRandom(7)),
            new SimulationListener() {});
    double served = result.arrived() / (result.end() - result.firstArrival());
    assertThat(served).isBetween(0.85 * rate, 1.05 * rate);
  }
}
