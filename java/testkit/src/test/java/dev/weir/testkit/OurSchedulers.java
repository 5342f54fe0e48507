package dev.weir.testkit;

import dev.weir.scheduling.SchedulerFactory;
import java.util.Map;
import java.util.Set;

/** What is special about some of the schedulers that Weir ships. */
final class OurSchedulers {
  /** Options of those that do not work without. */
  private static final Map<String, Map<String, String>> OPTIONS =
      Map.of("capped-fcfs", Map.of("cap", "160"));

  /** What those sustain that put memory aside, or keep prefill and decode apart. */
  private static final Map<String, Double> SUSTAINED =
      Map.of("orca", 0.6, "reserve", 0.6, "static", 0.4, "vllm-v0", 0.75);

  private static final Set<String> CLAIRVOYANT = Set.of("mcsf");

  private OurSchedulers() {}

  static Map<String, String> options(String scheduler) {
    return OPTIONS.getOrDefault(scheduler, Map.of());
  }

  static boolean clairvoyant(String scheduler) {
    return CLAIRVOYANT.contains(scheduler);
  }

  static Conformance conformance(SchedulerFactory factory) {
    String name = factory.name();
    Conformance conformance = Conformance.of(factory).options(options(name));
    if (SUSTAINED.containsKey(name)) {
      conformance = conformance.sustains(SUSTAINED.get(name));
    }
    return clairvoyant(name) ? conformance.clairvoyant() : conformance;
  }
}
