package dev.weir.simulation.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.weir.simulation.Simulation;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ScaledSystemTest {
  private static ScaledSystem system(ScaledSystem.Kind kind) {
    return new ScaledSystem(
        kind, 20, List.of(4, 8, 12), List.of(0.5, 0.25, 0.25), List.of(10, 6, 4), 0.95);
  }

  /** Eight requests at each of eight stages, with 20 to 27 tokens: 10 ms and 1,504 tokens. */
  @Test
  void fullIterationAndLoadByHand() {
    ScaledSystem system =
        new ScaledSystem(ScaledSystem.Kind.WAIT, 20, List.of(8), List.of(1.0), List.of(8), 0.5);
    assertThat(system.fullIteration()).isEqualTo(0.01 + 8 * 188 * 1e-5, within(1e-12));
    assertThat(system.rate()).isEqualTo(0.5 * 8 / 0.02504, within(1e-9));
    assertThat(system.benchmark()).isEqualTo(8 * system.rate(), within(1e-9));
  }

  /** Classes run through all of their stages, segments through their own. */
  @Test
  void classesAndSegmentsAreDifferentIterations() {
    double segments = 10 * (20 + 21 + 22 + 23) + 6 * (24 + 25 + 26 + 27) + 4 * (28 + 29 + 30 + 31);
    assertThat(system(ScaledSystem.Kind.NESTED_WAIT).fullIteration())
        .isEqualTo(0.01 + segments * 1e-5, within(1e-12));
    double classes = 10 * 86 + 6 * (8 * 20 + 28) + 4 * (12 * 20 + 66);
    assertThat(system(ScaledSystem.Kind.WAIT).fullIteration())
        .isEqualTo(0.01 + classes * 1e-5, within(1e-12));
  }

  /** Scale zeta over a horizon T is scale 1 over zeta T: the normalised gap is the same. */
  @ParameterizedTest
  @EnumSource
  void scaleIsTheHorizon(ScaledSystem.Kind kind) {
    ScaledSystem system = system(kind);
    double horizon = 200 * system.fullIteration();
    ThroughputGap unscaled = new ThroughputGap(horizon);
    Simulation.run(
        system.options(200, 1), system.arrivals(horizon, 1, new SplittableRandom(1)), unscaled);
    ThroughputGap scaled = new ThroughputGap(horizon / 8);
    Simulation.run(
        system.options(200, 8), system.arrivals(horizon, 8, new SplittableRandom(1)), scaled);
    assertThat(unscaled.estimate()).isPositive();
    assertThat(scaled.estimate() / 8).isEqualTo(unscaled.estimate(), within(1e-6));
    assertThat(scaled.waiting() / 8).isEqualTo(unscaled.waiting(), within(1e-6));
  }
}
