package dev.weir.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.DynamicContainer.dynamicContainer;

import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.Schedulers;
import dev.weir.testkit.ReportCard.Result;
import dev.weir.testkit.ReportCard.Verdict;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every scheduler on the class path passes; a new one is found by itself. */
@Isolated("the long run looks at the heap")
class AllSchedulersTest {
  @TestFactory
  Stream<DynamicContainer> conformance() {
    return Schedulers.all().stream()
        .map(
            factory ->
                dynamicContainer(
                    factory.name(),
                    SchedulerConformance.tests(OurSchedulers.conformance(factory))));
  }

  /** Options that make a scheduler do what it seldom does without them. */
  @TestFactory
  Stream<DynamicContainer> conformanceWithOtherOptions() {
    return Stream.of(
            variant("fcfs", Map.of("watermark", "0.2")),
            variant("headroom", Map.of("estimates", "frozen", "pace", "0")),
            variant("mcsf", Map.of()).sustains(0.6),
            variant("nested-wait", Map.of("boundaries", "3,9", "fill", "0")).sustains(0.6),
            variant("nested-wait", Map.of("segments", "5", "fill", "0", "pace", "100"))
                .sustains(0.6),
            variant("sarathi", Map.of("watermark", "0.2")),
            variant("vllm-v0", Map.of("watermark", "0.2")).sustains(0.6),
            variant("wait", Map.of("fill", "0", "pace", "100")).sustains(0.6).clairvoyant(),
            variant("weir", Map.of("segments", "5", "slack", "1.01", "memory", "20")))
        .map(
            conformance ->
                dynamicContainer(
                    conformance.toString(),
                    SchedulerConformance.tests(conformance.effort(300, 50_000, 2))));
  }

  /** In an overload without end the long are never served, which is what it is there to show. */
  @Test
  void shortestFirstStarvesTheLong() {
    ReportCard card =
        variant("mcsf", Map.of("order", "shortest")).clairvoyant().effort(100, 10_000, 3).run();
    assertThat(card.results())
        .as(card.toString())
        .filteredOn(result -> result.verdict() != Verdict.PASSED)
        .extracting(Result::property)
        .containsExactly(ConformanceProperty.NO_STARVATION);
  }

  @ParameterizedTest
  @ValueSource(strings = {"wait", "nested-wait"})
  void strictModesWaitForCompanyThatDoesNotCome(String scheduler) {
    Result result =
        variant(scheduler, Map.of("mode", "strict"))
            .effort(100, 10_000, 3)
            .check(ConformanceProperty.DRAIN);
    assertThat(result.verdict()).isEqualTo(Verdict.FAILED);
    assertThat(result.detail()).contains("held for THRESHOLD, and nothing will change that");
  }

  private static Conformance variant(String scheduler, Map<String, String> options) {
    SchedulerFactory factory =
        Schedulers.all().stream().filter(f -> f.name().equals(scheduler)).findAny().orElseThrow();
    return Conformance.of(factory).options(options);
  }
}
