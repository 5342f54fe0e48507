package dev.weir.testkit;

import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.Workload;
import dev.weir.testkit.VirtualDriver.Job;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** What a scheduler is told about lengths: nothing, the truth, or something wrong. */
enum Declared {
  NOTHING,
  TRUTH,
  TOO_SHORT,
  /** Prompts, too. */
  FAR_TOO_SHORT,
  TOO_LONG;

  Optional<Workload> workload(double arrivalRate, List<Job> jobs) {
    LengthHistogram prompts =
        LengthHistogram.of(jobs.stream().mapToInt(Job::promptTokens).toArray());
    LengthHistogram outputs =
        LengthHistogram.of(jobs.stream().mapToInt(Job::outputTokens).toArray());
    LengthHistogram few = LengthHistogram.of(1, 2, 3);
    int longest = outputs.max();
    LengthHistogram more = LengthHistogram.of(longest, 2 * longest, 3 * longest);
    return switch (this) {
      case NOTHING -> Optional.empty();
      case TRUTH -> Optional.of(new Workload(arrivalRate, prompts, outputs));
      case TOO_SHORT -> Optional.of(new Workload(arrivalRate, prompts, few));
      case FAR_TOO_SHORT -> Optional.of(new Workload(arrivalRate, few, few));
      case TOO_LONG -> Optional.of(new Workload(arrivalRate, prompts, more));
    };
  }

  @Override
  public String toString() {
    return "declared: " + name().toLowerCase(Locale.ROOT).replace('_', ' ');
  }
}
