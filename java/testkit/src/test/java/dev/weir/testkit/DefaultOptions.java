package dev.weir.testkit;

import java.util.Map;

/** What the schedulers need that do not work without options. */
final class DefaultOptions {
  private static final Map<String, Map<String, String>> BY_SCHEDULER =
      Map.of("capped-fcfs", Map.of("cap", "160"));

  private DefaultOptions() {}

  static Map<String, String> of(String scheduler) {
    return BY_SCHEDULER.getOrDefault(scheduler, Map.of());
  }
}
