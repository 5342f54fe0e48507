package dev.weir.cli.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Percentage.withPercentage;

import dev.weir.engine.GenerationRequest;
import dev.weir.scheduling.HoldReason;
import dev.weir.simulation.metrics.Metrics;
import java.util.List;
import java.util.Map;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;

class RunMetricsTest {
  /** Three significant digits of the histogram. */
  private static final Percentage PRECISION = withPercentage(0.1);

  private static final long MS = 1_000_000;

  /** The result is there 6 ms after the last token. */
  private static RequestOutcome finished(
      int index,
      int prompt,
      int asked,
      long arrival,
      long[] tokens,
      long[] evictions,
      long recomputed) {
    return new RequestOutcome(
        index,
        prompt,
        asked,
        arrival * MS,
        (arrival + 1) * MS,
        scaled(tokens),
        (tokens[tokens.length - 1] + 6) * MS,
        "LENGTH",
        false,
        scaled(evictions),
        recomputed,
        new int[tokens.length],
        "");
  }

  private static long[] scaled(long[] milliseconds) {
    long[] nanos = milliseconds.clone();
    for (int i = 0; i < nanos.length; i++) {
      nanos[i] *= MS;
    }
    return nanos;
  }

  private static TimedRequest request() {
    return TimedRequest.of(0, GenerationRequest.builder(new int[100]).build(), 100, 100);
  }

  private static RequestOutcome refused(int index, String why) {
    return RequestOutcome.refused(index, request(), 0, why);
  }

  /** Worked out by hand: two finished requests, one of them clipped, two refused, one failed. */
  @Test
  void agreesWithAHandComputation() {
    RunResult run =
        new RunResult(
            "fcfs",
            "",
            10,
            16,
            200 * MS,
            40 * MS,
            List.of(
                finished(0, 10, 4, 0, new long[] {20, 30, 50, 60}, new long[] {35}, 12),
                finished(1, 30, 3, 40, new long[] {140, 200}, new long[0], 0),
                refused(2, "QUEUE_FULL"),
                refused(3, "QUEUE_FULL"),
                RequestOutcome.failed(4, request(), 100, 0, 150 * MS)),
            List.of(
                new IterationSample(50 * MS, 30 * MS, 4, 3, 1, 0, 0),
                new IterationSample(100 * MS, 20 * MS, 8, 6, 2, 1, 1),
                new IterationSample(200 * MS, 50 * MS, 7, 0, 0, 0, 0)),
            Map.of(HoldReason.MEMORY, 3L, HoldReason.PACING, 1L),
            Map.of());

    Metrics metrics = RunMetrics.of(run, true);

    assertThat(metrics.requests()).isEqualTo(5);
    assertThat(metrics.finished()).isEqualTo(2);
    assertThat(metrics.clipped()).isEqualTo(1);
    assertThat(metrics.refused()).isEqualTo(Map.of("QUEUE_FULL", 2));
    assertThat(metrics.unfinished()).isEqualTo(Map.of("FAILED", 1));
    assertThat(metrics.seconds()).isEqualTo(0.2);
    assertThat(metrics.promptTokensPerSecond()).isEqualTo(40 / 0.2);
    assertThat(metrics.outputTokensPerSecond()).isEqualTo(6 / 0.2);
    assertThat(metrics.windowOutputTokensPerSecond()).isEqualTo(2 / 0.04);
    assertThat(metrics.requestsPerSecond()).isEqualTo(10);

    // TTFT 20 and 100 ms; E2E 66 and 166 ms; TPOT (66 - 20) / 3 and 66 ms; gaps 10, 20, 10, 60 ms.
    assertThat(metrics.timeToFirstToken().count()).isEqualTo(2);
    assertThat(metrics.timeToFirstToken().mean()).isCloseTo(0.060, PRECISION);
    assertThat(metrics.timeToFirstToken().p50()).isCloseTo(0.020, PRECISION);
    assertThat(metrics.timeToFirstToken().p99()).isCloseTo(0.100, PRECISION);
    assertThat(metrics.timePerOutputToken().mean()).isCloseTo((46.0 / 3 + 66) / 2e3, PRECISION);
    assertThat(metrics.interTokenLatency().count()).isEqualTo(4);
    assertThat(metrics.interTokenLatency().mean()).isCloseTo(0.025, PRECISION);
    assertThat(metrics.interTokenLatency().p50()).isCloseTo(0.010, PRECISION);
    assertThat(metrics.interTokenLatency().max()).isCloseTo(0.060, PRECISION);
    assertThat(metrics.endToEnd().mean()).isCloseTo(0.116, PRECISION);

    assertThat(metrics.evictions()).isEqualTo(1);
    assertThat(metrics.holds()).isEqualTo(Map.of(HoldReason.MEMORY, 3L, HoldReason.PACING, 1L));
    assertThat(metrics.recomputedTokens()).isEqualTo(12);
    assertThat(metrics.recomputedShare()).isEqualTo(12 / 46.0);
    assertThat(metrics.idleShare()).isEqualTo(0.5);
    // 0 blocks for 20 ms, 4 for 30, 3 for 30, 8 for 20, 6 for 50, 7 for 50 ms, of 10.
    assertThat(metrics.kvMean())
        .isCloseTo((4 * 30 + 3 * 30 + 8 * 20 + 6 * 50 + 7 * 50) / (10.0 * 200), PRECISION);
    assertThat(metrics.kvPeak()).isEqualTo(0.8);
  }

  @Test
  void aRunWithoutOneFinishedRequestHasNoLatencies() {
    RunResult run =
        new RunResult(
            "fcfs",
            "",
            10,
            16,
            MS,
            0,
            List.of(refused(0, "EXCEEDS_CONTEXT")),
            List.of(),
            Map.of(),
            Map.of());

    Metrics metrics = RunMetrics.of(run, true);

    assertThat(metrics.finished()).isZero();
    assertThat(metrics.timeToFirstToken().count()).isZero();
    assertThat(metrics.timeToFirstToken().p99()).isNaN();
    assertThat(metrics.windowOutputTokensPerSecond()).isNaN();
    assertThat(metrics.recomputedShare()).isNaN();
  }
}
