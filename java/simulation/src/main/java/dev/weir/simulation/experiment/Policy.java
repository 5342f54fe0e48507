package dev.weir.simulation.experiment;

import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * A scheduler with its settings, as it takes part in an experiment.
 *
 * @param label how it is named in tables
 * @param scheduler its name
 * @param options its settings
 * @param knowledge what it is told
 */
public record Policy(
    String label, String scheduler, Map<String, String> options, Knowledge knowledge) {
  /** What a policy is told about the load. */
  public enum Knowledge {
    /** The longest output that there may be. */
    LIMIT("longest output"),
    /** The arrival rate and the distributions of the lengths. */
    DISTRIBUTION("rate, distribution"),
    /** The output length of every request. */
    LENGTHS("every length");

    private final String text;

    Knowledge(String text) {
      this.text = text;
    }

    @Override
    public String toString() {
      return text;
    }
  }

  /** Copies the options. */
  public Policy {
    Objects.requireNonNull(label, "label");
    Objects.requireNonNull(scheduler, "scheduler");
    Objects.requireNonNull(knowledge, "knowledge");
    options = Map.copyOf(options);
  }

  /** A scheduler without settings that is told the longest output only. */
  public static Policy of(String scheduler) {
    return new Policy(scheduler, scheduler, Map.of(), Knowledge.LIMIT);
  }

  /** The same with one more setting, which the label tells. */
  public Policy with(String option, String value) {
    Map<String, String> more = new TreeMap<>(options);
    more.put(option, value);
    String settings =
        more.entrySet().stream()
            .map(entry -> entry.getKey() + "=" + entry.getValue())
            .collect(Collectors.joining(" "));
    return new Policy(scheduler + " " + settings, scheduler, more, knowledge);
  }

  /** The same under another label. */
  public Policy labelled(String text) {
    return new Policy(text, scheduler, options, knowledge);
  }

  /** The same, told something else. */
  public Policy knowing(Knowledge what) {
    return new Policy(label, scheduler, options, what);
  }

  @Override
  public String toString() {
    return label;
  }
}
