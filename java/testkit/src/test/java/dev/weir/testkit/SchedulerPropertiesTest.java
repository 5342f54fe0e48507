package dev.weir.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.Schedulers;
import dev.weir.testkit.VirtualDriver.Job;
import dev.weir.testkit.VirtualDriver.Outcome;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What our schedulers promise beyond conformance, for random workloads and many options. */
class SchedulerPropertiesTest {
  private static final int TRIES = 300;
  private static final long SEED = 20261120;

  /** All but the one that has a queue for each class. */
  static List<String> thoseThatKeepTheOrderOfArrival() {
    return Schedulers.all().stream()
        .map(SchedulerFactory::name)
        .filter(name -> !name.equals("wait"))
        .toList();
  }

  @ParameterizedTest
  @MethodSource("thoseThatKeepTheOrderOfArrival")
  void requestsAreFirstScheduledInOrderOfArrival(String scheduler) {
    RandomWorkloads.forEach(
        TRIES,
        SEED,
        true,
        SchedulerOptions.of(OurSchedulers.options(scheduler)),
        generated -> {
          Scenario scenario = generated.value();
          outcome(scheduler, scenario)
              .ifPresent(o -> assertThat(o.inArrivalOrder()).as(scenario.toString()).isTrue());
        });
  }

  static List<Map<String, String>> nestedWaitOptions() {
    return List.of(
        Map.of("segments", "1"),
        Map.of("segments", "5"),
        Map.of("boundaries", "3,9", "fill", "0"),
        Map.of("maxHold", "0", "pace", "0.1"),
        Map.of("fill", "0", "pace", "100"));
  }

  @ParameterizedTest
  @MethodSource("nestedWaitOptions")
  void nestedWaitServesEverybodyWhateverItsOptions(Map<String, String> options) {
    RandomWorkloads.forEach(
        TRIES,
        SEED,
        true,
        SchedulerOptions.of(options),
        generated -> {
          Scenario scenario = generated.value();
          long uncancelled =
              scenario.jobs().stream().filter(j -> j.cancelAtIteration() == Job.NEVER).count();
          outcome("nested-wait", scenario)
              .ifPresent(
                  o -> {
                    assertThat(o.completed()).isGreaterThanOrEqualTo(uncancelled);
                    assertThat(o.completed() + o.cancelled()).isEqualTo(scenario.jobs().size());
                  });
        });
  }

  @Test
  void nestedWaitWithoutAWorkloadNeverEvicts() {
    RandomWorkloads.forEach(
        TRIES,
        SEED,
        true,
        SchedulerOptions.none(),
        generated -> {
          SchedulerConfig c = generated.value().config();
          SchedulerConfig blind =
              new SchedulerConfig(
                  c.memory(), c.limits(), c.preemption(), c.cost(), Optional.empty(), c.options());
          Scenario scenario = new Scenario(blind, generated.value().jobs());
          assertThat(outcome("nested-wait", scenario).orElseThrow().evictions())
              .as(scenario.toString())
              .isZero();
        });
  }

  /** Nothing if the safety buffer alone exceeds the pool, so that the policy refuses. */
  private static Optional<Outcome> outcome(String name, Scenario scenario) {
    SchedulerConfig config = scenario.config();
    Scheduler scheduler;
    try {
      scheduler = Schedulers.create(name, config);
    } catch (IllegalArgumentException e) {
      assertThat(e).hasMessageContaining("enlarge the pool");
      return Optional.empty();
    }
    VirtualDriver driver =
        new VirtualDriver(
            scheduler, config, scenario.iterationLimit(), OurSchedulers.clairvoyant(name));
    return Optional.of(driver.run(scenario.jobs()));
  }
}
