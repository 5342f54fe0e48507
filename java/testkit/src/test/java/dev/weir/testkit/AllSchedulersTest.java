package dev.weir.testkit;

import static org.junit.jupiter.api.DynamicContainer.dynamicContainer;

import dev.weir.scheduling.Schedulers;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.parallel.Isolated;

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
}
