package dev.weir.cli.profile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;
import static org.assertj.core.data.Percentage.withPercentage;

import dev.weir.simulation.BatchGroup;
import dev.weir.simulation.BatchNotation;
import dev.weir.simulation.BatchShape;
import dev.weir.simulation.measured.BatchDesign;
import dev.weir.simulation.measured.BatchSample;
import dev.weir.simulation.measured.IterationTimeFit;
import dev.weir.simulation.measured.Region;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import org.junit.jupiter.api.Test;

class ProfilerTest {
  private static final BatchDesign DESIGN =
      BatchDesign.of(new BatchDesign.Limits(64, 1024, 2048, 4000, 16, 2), 10, 3);
  private static final long PATIENCE = 2_000_000_000;

  /** A device with a law instead of a clock. */
  private static final class LawfulDevice implements BatchRunner {
    final Map<List<BatchGroup>, Integer> runs = new HashMap<>();
    final List<List<BatchGroup>> prepared = new ArrayList<>();
    private final ToDoubleFunction<BatchShape> law;
    double slowness = 1;

    LawfulDevice(ToDoubleFunction<BatchShape> law) {
      this.law = law;
    }

    @Override
    public void prepare(List<BatchGroup> batch) {
      prepared.add(batch);
    }

    @Override
    public long run() {
      runs.merge(prepared.getLast(), 1, Integer::sum);
      return Math.round(
          1e9 * slowness * law.applyAsDouble(BatchNotation.shape(prepared.getLast())));
    }
  }

  /** Seconds; linear in tokens from the start, so that nothing depends on where knots are. */
  private static double law(BatchShape batch) {
    return 4e-3
        + 3e-5 * batch.tokens()
        + 2e-7 * batch.decodeContext()
        + 5e-9 * batch.prefillPairs();
  }

  @Test
  void aKnownLawIsFoundAgain() {
    LawfulDevice device = new LawfulDevice(ProfilerTest::law);
    List<List<BatchGroup>> told = new ArrayList<>();
    Profiler.Result result = new Profiler(3, 2, 3, PATIENCE).measure(DESIGN, device, told::add);

    int batches = DESIGN.fitted().size() + DESIGN.heldOut().size();
    assertThat(result.samples()).hasSize(batches).allMatch(sample -> sample.seconds().size() == 9);
    assertThat(told).hasSize(3 * batches);
    assertThat(result.drift()).isZero();
    assertThat(result.samples().stream().filter(BatchSample::heldOut).map(BatchSample::groups))
        .containsExactlyInAnyOrderElementsOf(DESIGN.heldOut());
    IterationTimeFit fit = IterationTimeFit.of("d", "m", result.samples());
    assertThat(fit.time().secondsPerDecodeContextToken()).isCloseTo(2e-7, withPercentage(0.1));
    assertThat(fit.time().secondsPerPrefillPair()).isCloseTo(5e-9, withPercentage(0.1));
    for (Region region : Region.values()) {
      assertThat(fit.heldOut().get(region).worst()).isLessThan(1e-3);
    }
  }

  @Test
  void aDisturbedRoundDoesNotReachTheMedians() {
    LawfulDevice device = new LawfulDevice(ProfilerTest::law);
    int batches = DESIGN.fitted().size() + DESIGN.heldOut().size();
    int[] done = {0};
    Profiler.Result result =
        new Profiler(3, 0, 3, PATIENCE)
            .measure(DESIGN, device, _ -> device.slowness = ++done[0] / batches == 1 ? 4 : 1);
    for (BatchSample sample : result.samples()) {
      assertThat(sample.median()).isCloseTo(law(sample.shape()), offset(1e-9));
      assertThat(sample.seconds().stream().mapToDouble(t -> t).max().orElseThrow())
          .isGreaterThan(3.9 * sample.median());
    }
    assertThat(result.drift()).isCloseTo(0, offset(1e-9));
  }

  @Test
  void aMachineThatGetsSlowerIsToldSo() {
    LawfulDevice device = new LawfulDevice(ProfilerTest::law);
    int batches = DESIGN.fitted().size() + DESIGN.heldOut().size();
    int[] done = {0};
    Profiler.Result result =
        new Profiler(3, 0, 1, PATIENCE)
            .measure(DESIGN, device, _ -> device.slowness = 1 + 0.25 * (++done[0] / batches));
    assertThat(result.drift()).isCloseTo(0.5, offset(1e-6));
  }

  @Test
  void aSlowBatchIsRunLessOften() {
    LawfulDevice device = new LawfulDevice(batch -> batch.prefills() > 0 ? 3.0 : 0.001);
    Profiler.Result result = new Profiler(3, 2, 3, PATIENCE).measure(DESIGN, device, _ -> {});
    for (BatchSample sample : result.samples()) {
      boolean slow = sample.region() != Region.DECODE;
      assertThat(sample.seconds()).hasSize(slow ? 3 : 9);
    }
    List<BatchGroup> slow = BatchNotation.parse("P1x1024@0");
    // One to warm up, and one in each round.
    assertThat(device.runs).containsEntry(slow, 4);
  }
}
