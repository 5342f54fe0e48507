package dev.weir.simulation.experiment;

import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.Schedulers;
import dev.weir.simulation.experiment.Policy.Knowledge;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The policies that are compared: every scheduler that there is, by name.
 *
 * @param policies those that take part
 * @param leftOut why others do not, by name
 */
record Contenders(List<Policy> policies, Map<String, String> leftOut) {
  static final String WEIR = "weir";
  static final String FCFS = "fcfs";
  static final String CAPPED_FCFS = "capped-fcfs";
  static final String MCSF = "mcsf";
  static final String PACED_MCSF = "mcsf pace=1.2";

  private static final double PROBED_RATE = 1;

  /** These come first, in this order: ours, and who they are compared with. */
  private static final List<String> ORDER =
      List.of(
          WEIR, "headroom", "nested-wait", "wait", CAPPED_FCFS, FCFS, "sarathi", "vllm-v0", MCSF);

  /** Policies that are told the true output lengths. */
  private static final List<String> CLAIRVOYANT = List.of(MCSF, "wait");

  /** Policies whose thresholds follow from the arrival rate and the distributions. */
  private static final List<String> PLANNED = List.of("wait", "nested-wait");

  /**
   * Those that accept the setup.
   *
   * @param cap the most concurrent requests of {@code capped-fcfs}
   */
  static Contenders of(ServingSetup setup, int cap) {
    List<Policy> policies = new ArrayList<>();
    Map<String, String> leftOut = new TreeMap<>();
    List<String> names = new ArrayList<>(ORDER);
    List<String> all = Schedulers.all().stream().map(SchedulerFactory::name).toList();
    names.retainAll(all);
    all.stream().filter(name -> !ORDER.contains(name)).forEach(names::add);
    for (String name : names) {
      Policy policy = Policy.of(name);
      if (name.equals(CAPPED_FCFS)) {
        policy = policy.with("cap", Integer.toString(cap)).labelled(CAPPED_FCFS);
      }
      if (PLANNED.contains(name)) {
        policy = policy.knowing(Knowledge.DISTRIBUTION);
      }
      if (name.equals(MCSF)) {
        policy = policy.knowing(Knowledge.LENGTHS);
      }
      add(setup, policy, policies, leftOut);
      if (name.equals(MCSF)) {
        add(setup, policy.with("pace", "1.2").labelled(PACED_MCSF), policies, leftOut);
      }
    }
    return new Contenders(List.copyOf(policies), leftOut);
  }

  private static void add(
      ServingSetup setup, Policy policy, List<Policy> policies, Map<String, String> leftOut) {
    Optional<String> obstacle = obstacle(setup, policy);
    if (obstacle.isPresent()) {
      leftOut.put(policy.label(), obstacle.get());
    } else {
      policies.add(policy);
    }
  }

  /** Why a policy cannot take part; empty if it can. */
  static Optional<String> obstacle(ServingSetup setup, Policy policy) {
    try {
      Schedulers.create(policy.scheduler(), setup.simulation(policy, PROBED_RATE).config());
      return Optional.empty();
    } catch (IllegalArgumentException e) {
      return Optional.of(e.getMessage());
    }
  }

  /** What a policy is told, for tables. */
  static String knows(Policy policy) {
    return CLAIRVOYANT.contains(policy.scheduler())
        ? Knowledge.LENGTHS.toString()
        : policy.knowledge().toString();
  }
}
