package dev.weir.testkit;

import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** What a suite of runs has seen. */
final class Evidence {
  /** A broken rule, and the run in which that was seen. */
  record Failure(Finding finding, String scenario) {}

  private final Settings settings;
  private final List<Failure> failures = new ArrayList<>();
  private int runs;
  private int stopped;
  private long plans;
  private int refused;
  private String refusal;
  private String remark = "";

  Evidence(Settings settings) {
    this.settings = settings;
  }

  /**
   * A fresh scheduler, or nothing if the factory refuses the configuration, which is its right
   * unless it refuses all.
   */
  Optional<Scheduler> scheduler(SchedulerConfig config) {
    try {
      return Optional.of(settings.factory().create(config));
    } catch (IllegalArgumentException e) {
      refused++;
      refusal = e.getMessage();
      return Optional.empty();
    }
  }

  /** A driver with a fresh scheduler; see {@link #scheduler}. */
  Optional<VirtualDriver> driver(SchedulerConfig config, int iterationLimit) {
    return scheduler(config).map(s -> driver(s, config, iterationLimit));
  }

  VirtualDriver driver(Scheduler scheduler, SchedulerConfig config, int iterationLimit) {
    return new VirtualDriver(scheduler, config, iterationLimit, settings.clairvoyant());
  }

  /** Runs a scenario and returns what it broke; nothing if the configuration was refused. */
  List<Finding> findings(Scenario scenario) {
    return driver(scenario.config(), scenario.iterationLimit())
        .map(driver -> findings(driver, new JobList(scenario.jobs())))
        .orElse(List.of());
  }

  List<Finding> findings(VirtualDriver driver, Arrivals arrivals) {
    List<Finding> found = driver.drive(arrivals);
    runs++;
    plans += driver.outcome().iterations();
    stopped += found.stream().anyMatch(Finding::stopped) ? 1 : 0;
    return found;
  }

  /** Runs a scenario and keeps what it broke. */
  Optional<VirtualDriver> run(Scenario scenario, String name) {
    Optional<VirtualDriver> driver = driver(scenario.config(), scenario.iterationLimit());
    driver.ifPresent(d -> run(d, new JobList(scenario.jobs()), name));
    return driver;
  }

  void run(VirtualDriver driver, Arrivals arrivals, String name) {
    findings(driver, arrivals).forEach(finding -> add(finding, name));
  }

  void add(Finding finding, String scenario) {
    failures.add(new Failure(finding, scenario));
  }

  void add(ConformanceProperty property, String message, String scenario) {
    add(new Finding(property, message, false, null), scenario);
  }

  void remark(String text) {
    remark = text;
  }

  /** Whether most runs could not go on to their end. */
  boolean wasStopped() {
    return 2 * stopped > runs;
  }

  boolean has(ConformanceProperty property) {
    return failures.stream().anyMatch(f -> f.finding().property() == property);
  }

  List<Failure> failures() {
    return failures;
  }

  /** Says so if the factory has refused to work at all. */
  Optional<String> refusedEverything() {
    return runs == 0
        ? Optional.of("the factory refuses every configuration: " + refusal)
        : Optional.empty();
  }

  @Override
  public String toString() {
    return String.format(Locale.ROOT, "%,d runs, %,d plans", runs, plans)
        + (refused > 0 ? ", " + refused + " configurations refused" : "")
        + (stopped > 0 ? ", " + stopped + " runs stopped" : "")
        + (remark.isEmpty() ? "" : "; " + remark);
  }
}
