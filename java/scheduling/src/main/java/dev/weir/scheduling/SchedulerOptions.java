package dev.weir.scheduling;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Settings of one policy as the user wrote them, {@code name=value}. A getter checks type and range
 * and names the setting when it is wrong; {@link #rejectUnknown} refuses the names that the policy
 * does not have.
 */
public final class SchedulerOptions {
  private static final SchedulerOptions NONE = new SchedulerOptions(Map.of());

  private final Map<String, String> values;

  private SchedulerOptions(Map<String, String> values) {
    this.values = values;
  }

  public static SchedulerOptions none() {
    return NONE;
  }

  public static SchedulerOptions of(Map<String, String> values) {
    return new SchedulerOptions(Map.copyOf(values));
  }

  /**
   * @throws IllegalArgumentException if a setting is present that is not in {@code known}
   */
  public void rejectUnknown(String policy, Set<String> known) {
    Set<String> unknown = new TreeSet<>(values.keySet());
    unknown.removeAll(known);
    if (!unknown.isEmpty()) {
      throw new IllegalArgumentException(
          "scheduler '"
              + policy
              + "' has no option "
              + unknown
              + "; it has "
              + new TreeSet<>(known));
    }
  }

  public double getDouble(String name, double defaultValue, double min, double max) {
    String text = values.get(name);
    if (text == null) {
      return defaultValue;
    }
    double value;
    try {
      value = Double.parseDouble(text);
    } catch (NumberFormatException _) {
      throw new IllegalArgumentException(
          "scheduler option " + name + "=" + text + " is not a number");
    }
    if (!(value >= min && value <= max)) {
      throw new IllegalArgumentException(
          "scheduler option " + name + "=" + text + " is not in " + min + ".." + max);
    }
    return value;
  }

  public int getInt(String name, int defaultValue, int min, int max) {
    String text = values.get(name);
    if (text == null) {
      return defaultValue;
    }
    int value;
    try {
      value = Integer.parseInt(text);
    } catch (NumberFormatException _) {
      throw new IllegalArgumentException(
          "scheduler option " + name + "=" + text + " is not a whole number");
    }
    if (value < min || value > max) {
      throw new IllegalArgumentException(
          "scheduler option " + name + "=" + text + " is not in " + min + ".." + max);
    }
    return value;
  }

  /**
   * One of a few words.
   *
   * @param choices the words, the default first
   */
  public String getChoice(String name, List<String> choices) {
    String text = values.getOrDefault(name, choices.getFirst());
    if (!choices.contains(text)) {
      throw new IllegalArgumentException(
          "scheduler option " + name + "=" + text + " is not one of " + choices);
    }
    return text;
  }

  /** The same with one option set, or set to another value. */
  public SchedulerOptions with(String name, String value) {
    Map<String, String> more = new HashMap<>(values);
    more.put(name, value);
    return of(more);
  }

  /** Whether the user set this option. */
  public boolean has(String name) {
    return values.containsKey(name);
  }

  /**
   * A comma list of whole numbers, {@code 10,20,40}.
   *
   * @return empty if the option is not set
   */
  public List<Integer> getIntList(String name, int min, int max) {
    String text = values.get(name);
    if (text == null) {
      return List.of();
    }
    List<Integer> list = new ArrayList<>();
    for (String part : text.split(",", -1)) {
      int value;
      try {
        value = Integer.parseInt(part.strip());
      } catch (NumberFormatException _) {
        throw new IllegalArgumentException(
            "scheduler option " + name + "=" + text + ": '" + part + "' is not a whole number");
      }
      if (value < min || value > max) {
        throw new IllegalArgumentException(
            "scheduler option "
                + name
                + "="
                + text
                + ": "
                + value
                + " is not in "
                + min
                + ".."
                + max);
      }
      list.add(value);
    }
    return List.copyOf(list);
  }

  @Override
  public String toString() {
    return new TreeMap<>(values).toString();
  }
}
