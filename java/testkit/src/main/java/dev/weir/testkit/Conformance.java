package dev.weir.testkit;

import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.SchedulerOptions;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The examination of one scheduler, without JUnit: {@code Conformance.of(factory).run()} gives a
 * {@link ReportCard}. Every run checks everything that the driver can see, and a broken rule is put
 * down to the {@link ConformanceProperty} that it belongs to, wherever it was seen.
 *
 * <p>Settings are made on copies; an examined object keeps its results. Not thread-safe.
 */
public final class Conformance {
  private final Settings settings;
  private final Suites suites;
  private final Map<ConformanceProperty, Evidence> gathered =
      new EnumMap<>(ConformanceProperty.class);

  private Conformance(Settings settings) {
    this.settings = settings;
    suites = new Suites(settings);
  }

  /** With the default settings and no options. */
  public static Conformance of(SchedulerFactory factory) {
    return new Conformance(
        new Settings(factory, SchedulerOptions.none(), false, 0.85, 500, 1_000_000, 20261120));
  }

  /** The options that the factory gets, as a user would write them. */
  public Conformance options(Map<String, String> options) {
    return new Conformance(settings.withOptions(SchedulerOptions.of(options)));
  }

  /** Requests tell their true length, as in a simulation. Otherwise it is unknown. */
  public Conformance clairvoyant() {
    return new Conformance(settings.withTrueLengths());
  }

  /**
   * What share of the fluid model's sustainable rate the policy claims to sustain when lengths vary
   * and only their limit is declared: 0.85 unless set. One that reserves memory for the longest
   * output sustains less. At equal lengths all must sustain 0.9.
   *
   * @param share greater than 0, less than 1
   */
  public Conformance sustains(double share) {
    if (!(share > 0 && share < 1)) {
      throw new IllegalArgumentException(
          "share is " + share + ", must be greater than 0 and less than 1");
    }
    return new Conformance(settings.withLoad(share));
  }

  /**
   * How much is tried.
   *
   * @param workloads random workloads, 500 unless set
   * @param steps plans of the long run, a million unless set
   * @param seed of all random lengths and times
   */
  public Conformance effort(int workloads, int steps, long seed) {
    if (workloads < 1 || steps < 1000) {
      throw new IllegalArgumentException(
          "workloads is "
              + workloads
              + ", must be at least 1; steps is "
              + steps
              + ", must be at least 1000");
    }
    return new Conformance(settings.withEffort(workloads, steps, seed));
  }

  /** Judges all properties. */
  public ReportCard run() {
    return new ReportCard(
        settings.factory().name(),
        Stream.of(ConformanceProperty.values()).map(this::check).toList());
  }

  /** Judges one property. */
  public ReportCard.Result check(ConformanceProperty property) {
    List<Evidence> all = evidence(property);
    for (Evidence evidence : all) {
      for (Evidence.Failure failure : evidence.failures()) {
        if (failure.finding().property() == property) {
          return failed(property, failure);
        }
      }
    }
    Evidence own = all.getFirst();
    Optional<String> refused = own.refusedEverything();
    if (refused.isPresent()) {
      return new ReportCard.Result(
          property, ReportCard.Verdict.FAILED, refused.get(), Optional.empty());
    }
    Optional<Evidence.Failure> stopped = Optional.empty();
    for (Evidence.Failure failure : own.failures()) {
      ConformanceProperty other = failure.finding().property();
      if (!isReportedAs(other)) {
        return failed(property, failure);
      }
      if (failure.finding().stopped() && own.wasStopped()) {
        stopped = Optional.of(failure);
      }
    }
    return stopped
        .map(
            failure ->
                new ReportCard.Result(
                    property,
                    ReportCard.Verdict.NOT_JUDGED,
                    "runs were stopped, see " + failure.finding().property().title(),
                    Optional.empty()))
        .orElseGet(
            () ->
                new ReportCard.Result(
                    property, ReportCard.Verdict.PASSED, own.toString(), Optional.empty()));
  }

  /** Whether somebody who reads the whole card learns of it without this property. */
  private boolean isReportedAs(ConformanceProperty property) {
    return evidence(property).stream().anyMatch(e -> e.has(property))
        // Nobody holds a request that he has lost.
        || (property == ConformanceProperty.DECISION_LOG
            && isReportedAs(ConformanceProperty.CONSERVATION));
  }

  private static ReportCard.Result failed(ConformanceProperty property, Evidence.Failure failure) {
    Finding finding = failure.finding();
    String kind = finding.property() == property ? "" : finding.property().title() + ": ";
    return new ReportCard.Result(
        property,
        ReportCard.Verdict.FAILED,
        kind + finding.message() + "; seen with " + failure.scenario(),
        Optional.ofNullable(finding.cause()));
  }

  /** The runs made for the property first, then those in which it may have been broken, too. */
  private List<Evidence> evidence(ConformanceProperty property) {
    return switch (property) {
      case NO_OVERFLOW_AT_ADMISSION, CONSERVATION, DECISION_LOG ->
          List.of(
              gather(ConformanceProperty.CONSERVATION),
              gather(ConformanceProperty.RANDOM_WORKLOADS));
      case DRAIN, WAKE_UP ->
          List.of(gather(property), gather(ConformanceProperty.RANDOM_WORKLOADS));
      case LIVENESS,
          NO_STARVATION,
          CANCELLATION,
          DETERMINISM,
          RANDOM_WORKLOADS,
          LONG_RUN,
          REFUSAL ->
          List.of(gather(property));
    };
  }

  private Evidence gather(ConformanceProperty property) {
    Evidence evidence = gathered.get(property);
    if (evidence == null) {
      evidence = suites.gather(property);
      gathered.put(property, evidence);
    }
    return evidence;
  }

  String schedulerName() {
    return settings.factory().name();
  }

  /** The scheduler and its options. */
  @Override
  public String toString() {
    return schedulerName() + " " + settings.options();
  }
}
