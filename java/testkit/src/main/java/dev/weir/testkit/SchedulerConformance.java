package dev.weir.testkit;

import dev.weir.scheduling.SchedulerFactory;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.parallel.Isolated;

/**
 * The JUnit form of the kit. A subclass names its scheduler and gets a test for each {@link
 * ConformanceProperty}. JUnit Jupiter runs it; nobody needs jqwik's test engine.
 *
 * <p>Not in parallel with other tests, because the long run looks at the heap.
 */
@Isolated("the long run looks at the heap")
public abstract class SchedulerConformance {

  /** The scheduler to examine. */
  protected abstract SchedulerFactory factory();

  /** Override to give the scheduler options, or to set what it claims. */
  protected Conformance conformance() {
    return Conformance.of(factory());
  }

  @TestFactory
  final Stream<DynamicTest> properties() {
    return tests(conformance());
  }

  /** A test for each property; for those who examine several schedulers in one class. */
  public static Stream<DynamicTest> tests(Conformance conformance) {
    return Stream.of(ConformanceProperty.values())
        .map(p -> DynamicTest.dynamicTest(p.title(), () -> require(conformance, p)));
  }

  private static void require(Conformance conformance, ConformanceProperty property) {
    ReportCard.Result result = conformance.check(property);
    switch (result.verdict()) {
      case PASSED -> {}
      case NOT_JUDGED -> Assumptions.abort(result.detail());
      case FAILED ->
          throw new AssertionError(
              String.format(
                  Locale.ROOT,
                  "scheduler '%s' fails %s%n  rule: %s%n  seen: %s",
                  conformance.schedulerName(),
                  property.title(),
                  property.rule(),
                  result.detail()),
              result.cause().orElse(null));
    }
  }
}
