package dev.weir.scheduling;

import java.util.List;
import java.util.ServiceLoader;
import java.util.TreeMap;

/** Finds schedulers by name among the {@link SchedulerFactory} services. */
public final class Schedulers {
  private Schedulers() {}

  /** All that are there, by name. */
  public static List<SchedulerFactory> all() {
    TreeMap<String, SchedulerFactory> byName = new TreeMap<>();
    for (SchedulerFactory factory : ServiceLoader.load(SchedulerFactory.class)) {
      SchedulerFactory other = byName.putIfAbsent(factory.name(), factory);
      if (other != null) {
        throw new IllegalStateException(
            "two schedulers are named '"
                + factory.name()
                + "': "
                + other.getClass()
                + " and "
                + factory.getClass());
      }
    }
    return List.copyOf(byName.values());
  }

  /**
   * @throws IllegalArgumentException if no scheduler has this name; the message lists those there
   *     are
   */
  public static Scheduler create(String name, SchedulerConfig config) {
    List<SchedulerFactory> factories = all();
    for (SchedulerFactory factory : factories) {
      if (factory.name().equals(name)) {
        return factory.create(config);
      }
    }
    throw new IllegalArgumentException(
        "no scheduler is named '"
            + name
            + "'; there are "
            + factories.stream().map(SchedulerFactory::name).toList());
  }
}
