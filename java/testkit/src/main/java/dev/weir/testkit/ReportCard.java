package dev.weir.testkit;

import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * What an examination found, a line for each property.
 *
 * @param scheduler its name
 * @param results in the order of {@link ConformanceProperty}
 */
public record ReportCard(String scheduler, List<Result> results) {
  /** The widest title has this many letters. */
  private static final int TITLE = 26;

  public ReportCard {
    results = List.copyOf(results);
  }

  /** How a property was judged. */
  public enum Verdict {
    PASSED,
    FAILED,
    /** Another property is broken so badly that nothing can be said about this one. */
    NOT_JUDGED
  }

  /**
   * @param detail how much was tried, or what went wrong and in which run
   * @param cause the exception that the scheduler threw, if that is what went wrong
   */
  public record Result(
      ConformanceProperty property, Verdict verdict, String detail, Optional<Throwable> cause) {}

  /** Whether all properties hold. */
  public boolean passed() {
    return results.stream().allMatch(r -> r.verdict() == Verdict.PASSED);
  }

  /** The table that people read. */
  @Override
  public String toString() {
    long passed = results.stream().filter(r -> r.verdict() == Verdict.PASSED).count();
    StringBuilder table = new StringBuilder();
    table.append(
        String.format(
            Locale.ROOT, "scheduler '%s': %d of %d passed%n", scheduler, passed, results.size()));
    for (Result result : results) {
      String verdict = result.verdict().name().toLowerCase(Locale.ROOT).replace('_', ' ');
      table.append(
          String.format(
              Locale.ROOT,
              "  %-" + TITLE + "s %-11s %s%n",
              result.property().title(),
              verdict,
              result.detail()));
    }
    return table.toString();
  }
}
