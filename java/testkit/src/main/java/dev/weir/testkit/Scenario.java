package dev.weir.testkit;

import dev.weir.scheduling.SchedulerConfig;
import dev.weir.testkit.VirtualDriver.Job;
import java.util.List;

/** What a scheduler has to work with, and a load whose every request fits the pool alone. */
record Scenario(SchedulerConfig config, List<Job> jobs) {

  /** Plans after which a run is taken for endless. */
  int iterationLimit() {
    long tokens = jobs.stream().mapToLong(j -> j.promptTokens() + j.outputTokens()).sum();
    return (int) Math.min(Integer.MAX_VALUE, 100 + 50 * tokens);
  }

  /** Everything needed to run it again. */
  @Override
  public String toString() {
    return jobs.size() + " requests " + jobs + ", " + Suites.describe(config);
  }
}
