package dev.weir.simulation.experiment;

import dev.weir.scheduling.BatchLimits;
import dev.weir.simulation.experiment.PaperExperiment.Contender;
import dev.weir.simulation.experiment.PaperExperiment.Device;
import dev.weir.simulation.experiment.PaperExperiment.Fair;
import dev.weir.simulation.experiment.PaperExperiment.Published;
import dev.weir.simulation.experiment.PaperExperiment.PublishedOutcome;
import dev.weir.simulation.metrics.Metrics;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.DoubleSummaryStatistics;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;

/**
 * Which conclusions of arXiv 2504.11320 survive a fair comparison, worked out from the figures:
 * more throughput and less latency than vLLM and Sarathi.
 *
 * @param recorded runs in the logs
 * @param published the same repeated
 * @param fair the best cap of each policy at each rate on each device
 * @param devices of the fair comparison
 */
record PaperConclusions(
    List<RecordedRun> recorded, List<Published> published, List<Fair> fair, List<Device> devices) {
  /** A difference of less is none. */
  private static final double NOTABLE = 0.01;

  private record Rival(
      String label,
      String inLogs,
      Contender contender,
      Function<PublishedOutcome, PublishedMeasures> outcome) {}

  private static final List<Rival> RIVALS =
      List.of(
          new Rival("vLLM", RecordedRun.VLLM, PaperExperiment.VLLM, PublishedOutcome::vllm),
          new Rival(
              "Sarathi", RecordedRun.SARATHI, PaperExperiment.SARATHI, PublishedOutcome::sarathi));

  /** Ratios of a figure of WAIT to that of a rival. */
  private record Ratios(double mean, double least, double most) {
    static Ratios of(double ratio) {
      return new Ratios(ratio, ratio, ratio);
    }

    static Ratios of(DoubleSummaryStatistics ratios) {
      return new Ratios(ratios.getAverage(), ratios.getMin(), ratios.getMax());
    }

    String text() {
      String mean = signed(this.mean);
      return least == most ? mean : mean + " (" + signed(least) + " to " + signed(most) + ")";
    }

    private static String signed(double ratio) {
      // Adding 0 takes the sign of a negative 0 away.
      double percent = Math.round(1000 * (ratio - 1)) / 10.0 + 0.0;
      return String.format(Locale.ROOT, "%+.1f %%", percent);
    }

    boolean larger() {
      return mean > 1 + NOTABLE;
    }

    boolean smaller() {
      return mean < 1 - NOTABLE;
    }
  }

  /** The conclusions, one in each row. */
  Table table() {
    Table.Builder table =
        Table.titled("conclusions", "What survives")
            .note(
                "Nested WAIT, as published, or the best of the four modes of WAIT and Nested WAIT in"
                    + " the fair comparison, against the rival: difference, over all caps with the"
                    + " least and the most. At least "
                    + Math.round(100 * NOTABLE)
                    + " % counts. As published: slots/s, and the mean E2E of those that ended, which"
                    + " the logs do not have. Fair: both with their best cap.")
            .column("claim")
            .column("in the logs")
            .column("repeated as published")
            .column("of those that ended");
    for (Device device : devices) {
      table.column("fair, " + device.model());
    }
    table.column("survives");
    for (Rival rival : RIVALS) {
      throughputRow(table, rival);
      latencyRow(table, rival, PaperWorkload.RATE);
      latencyRow(table, rival, PaperExperiment.MODERATE_RATE);
    }
    return table.build();
  }

  private void throughputRow(Table.Builder table, Rival rival) {
    List<Object> row = new ArrayList<>();
    row.add("more throughput than " + rival.label());
    row.add(logged(rival, RecordedRun::slotsPerSecond).text());
    row.add(repeated(rival, PublishedMeasures::slotsPerSecond).text());
    row.add(repeated(rival, PublishedMeasures::completedTokensPerSecond).text());
    List<Ratios> fairRatios =
        devices.stream()
            .map(
                device ->
                    ratio(device, rival, PaperWorkload.RATE, Metrics::windowOutputTokensPerSecond))
            .toList();
    fairRatios.forEach(r -> row.add(r.text()));
    row.add(verdict(fairRatios.stream().allMatch(Ratios::larger)));
    table.row(row.toArray());
  }

  private void latencyRow(Table.Builder table, Rival rival, double rate) {
    List<Object> row = new ArrayList<>();
    row.add("less E2E than " + rival.label() + " at " + Math.round(rate) + " requests/s");
    row.add("not recorded");
    row.add(
        rate == PaperWorkload.RATE
            ? repeated(rival, PublishedMeasures::meanEndToEnd).text()
            : "not run");
    row.add("");
    List<Ratios> fairRatios =
        devices.stream()
            .map(device -> ratio(device, rival, rate, m -> m.endToEnd().mean()))
            .toList();
    fairRatios.forEach(r -> row.add(r.text()));
    row.add(verdict(fairRatios.stream().allMatch(Ratios::smaller)));
    table.row(row.toArray());
  }

  private static String verdict(boolean survives) {
    return survives ? "yes" : "no";
  }

  /** Over the caps, each with the rival's run with the same cap. */
  private Ratios logged(Rival rival, ToDoubleFunction<RecordedRun> figure) {
    DoubleSummaryStatistics ratios = new DoubleSummaryStatistics();
    for (RecordedRun nested : recorded) {
      for (RecordedRun other : recorded) {
        if (nested.policy().equals(RecordedRun.NESTED)
            && other.policy().equals(rival.inLogs())
            && other.test().equals(nested.test())
            && other.batchSize() == nested.batchSize()) {
          ratios.accept(figure.applyAsDouble(nested) / figure.applyAsDouble(other));
        }
      }
    }
    return Ratios.of(ratios);
  }

  private Ratios repeated(Rival rival, ToDoubleFunction<PublishedMeasures> figure) {
    DoubleSummaryStatistics ratios = new DoubleSummaryStatistics();
    for (Published p : published) {
      ratios.accept(
          p.of(o -> figure.applyAsDouble(o.nested())).mean()
              / p.of(o -> figure.applyAsDouble(rival.outcome().apply(o))).mean());
    }
    return Ratios.of(ratios);
  }

  private Ratios ratio(Device device, Rival rival, double rate, ToDoubleFunction<Metrics> figure) {
    double ratio =
        paper(device, rate).of(figure).mean()
            / of(device, rate, rival.contender()).of(figure).mean();
    return Ratios.of(ratio);
  }

  private Fair of(Device device, double rate, Contender contender) {
    return stream(device, rate, contender).findFirst().orElseThrow();
  }

  /** One, or none if the policy does not run on the device. */
  private Stream<Fair> stream(Device device, double rate, Contender contender) {
    return fair.stream()
        .filter(f -> f.device() == device && f.rate() == rate && f.contender() == contender);
  }

  /** The best of WAIT's modes: by throughput at the published rate, by mean E2E at ours. */
  private Fair paper(Device device, double rate) {
    Comparator<Fair> better =
        rate == PaperWorkload.RATE
            ? Comparator.comparingDouble(Fair::throughput)
            : Comparator.comparingDouble(Fair::endToEnd).reversed();
    return PaperExperiment.PAPER.stream()
        .flatMap(contender -> stream(device, rate, contender))
        .max(better)
        .orElseThrow();
  }

  /** The conclusions in words. */
  List<String> sentences() {
    List<String> sentences = new ArrayList<>();
    for (Rival rival : RIVALS) {
      sentences.add(throughputSentence(rival));
      sentences.add(latencySentence(rival));
    }
    sentences.add(repetitionSentence());
    sentences.add(droppedSentence());
    sentences.add(memorySentence());
    sentences.add(mixingSentence());
    sentences.add(untunedSentence());
    return sentences;
  }

  private String throughputSentence(Rival rival) {
    Ratios slots = logged(rival, RecordedRun::slotsPerSecond);
    Ratios ended = logged(rival, RecordedRun::completedPerSecond);
    StringBuilder text = new StringBuilder();
    text.append("\"Nested WAIT serves more than ")
        .append(rival.label())
        .append("\". As published: ");
    text.append(verdict(slots.larger())).append(", ").append(slots.text());
    text.append(
        " slots/s with the same cap in the logs; counting the requests that ended, the same");
    text.append(" logs say ").append(ended.text()).append(". Repeated: ");
    text.append(repeated(rival, PublishedMeasures::slotsPerSecond).text());
    text.append(" slots/s, ");
    text.append(repeated(rival, PublishedMeasures::completedTokensPerSecond).text());
    text.append(" tokens/s of requests that ended. Fair (with cap/token budget): ");
    boolean survives = true;
    List<String> parts = new ArrayList<>();
    for (Device device : devices) {
      Ratios ratio = ratio(device, rival, PaperWorkload.RATE, Metrics::windowOutputTokensPerSecond);
      survives &= ratio.larger();
      parts.add(against(device, rival, PaperWorkload.RATE, ratio));
    }
    return text.append(verdict(survives))
        .append("; ")
        .append(String.join("; ", parts))
        .append(".")
        .toString();
  }

  private String latencySentence(Rival rival) {
    StringBuilder text = new StringBuilder();
    text.append("\"Nested WAIT has less latency than ")
        .append(rival.label())
        .append("\" (mean E2E).");
    text.append(" Fair: ");
    List<String> parts = new ArrayList<>();
    boolean survives = true;
    for (double rate : List.of((double) PaperWorkload.RATE, PaperExperiment.MODERATE_RATE)) {
      for (Device device : devices) {
        Ratios ratio = ratio(device, rival, rate, m -> m.endToEnd().mean());
        survives &= ratio.smaller();
        parts.add(against(device, rival, rate, ratio) + " at " + Math.round(rate) + " requests/s");
      }
    }
    return text.append(verdict(survives))
        .append("; ")
        .append(String.join("; ", parts))
        .append(".")
        .toString();
  }

  private String against(Device device, Rival rival, double rate, Ratios ratio) {
    Fair paper = paper(device, rate);
    Fair other = of(device, rate, rival.contender());
    return "%s %s (%s, %s, against %s)"
        .formatted(
            device.model(),
            ratio.text(),
            paper.contender().policy().label(),
            text(paper.limits()),
            text(other.limits()));
  }

  /** Cap and token budget. */
  private static String text(BatchLimits limits) {
    return limits.maxSequences() + "/" + limits.maxTokens();
  }

  private String repetitionSentence() {
    DoubleSummaryStatistics deviations = new DoubleSummaryStatistics();
    for (Published p : published) {
      deviate(deviations, p, RecordedRun.NESTED, PublishedOutcome::nested);
      RIVALS.forEach(rival -> deviate(deviations, p, rival.inLogs(), rival.outcome()));
    }
    return String.format(
        Locale.ROOT,
        "Repeated on our simulator, slots/s are %.1f %% from the logs on average, at most %.1f %%.",
        100 * deviations.getAverage(),
        100 * deviations.getMax());
  }

  private void deviate(
      DoubleSummaryStatistics deviations,
      Published p,
      String policy,
      Function<PublishedOutcome, PublishedMeasures> outcome) {
    double repeated = p.of(o -> outcome.apply(o).slotsPerSecond()).mean();
    RecordedRun.ofLimit(recorded, p.test().name(), policy, p.totalLimit())
        .ifPresent(run -> deviations.accept(Math.abs(repeated / run.slotsPerSecond() - 1)));
  }

  private String droppedSentence() {
    DoubleSummaryStatistics dropped =
        published.stream()
            .flatMap(p -> p.bySeed().stream())
            .mapToDouble(o -> 100 * o.nested().droppedShare())
            .summaryStatistics();
    DoubleSummaryStatistics inLogs =
        recorded.stream()
            .filter(run -> run.policy().equals(RecordedRun.NESTED))
            .mapToDouble(run -> 100 * (1 - run.completed() / (double) RecordedRun.REQUESTS))
            .summaryStatistics();
    return String.format(
        Locale.ROOT,
        "Nested WAIT as published drops %.1f to %.1f %% of the requests in the logs (repeated: %.1f"
            + " to %.1f %%), the longest ones: see who ends. The limit of the last segment is rounded"
            + " down to 0, so no output beyond 450 tokens is ever completed. What the dropped"
            + " requests did before counts as slots.",
        inLogs.getMin(),
        inLogs.getMax(),
        dropped.getMin(),
        dropped.getMax());
  }

  private String memorySentence() {
    double peak =
        published.stream()
            .flatMap(p -> p.bySeed().stream())
            .mapToLong(o -> o.nested().peakBlocks())
            .max()
            .orElseThrow();
    double others =
        published.stream()
            .flatMap(p -> p.bySeed().stream())
            .mapToLong(o -> Math.max(o.vllm().peakBlocks(), o.sarathi().peakBlocks()))
            .max()
            .orElseThrow();
    long evictions =
        published.stream()
            .flatMap(p -> p.bySeed().stream())
            .mapToLong(o -> o.vllm().evictions() + o.sarathi().evictions())
            .sum();
    long pool = devices.getFirst().memory().blocks();
    return String.format(
        Locale.ROOT,
        "%s: they hold at most %.0f blocks and evict %d times%s. Nested WAIT as published holds up to"
            + " %.0f blocks, as the requests that wait at an entrance keep theirs; the pool of %s, the"
            + " model that the paper names, has %d%s.",
        evictions == 0
            ? "Memory never limits the published baselines"
            : "Memory limits the published baselines",
        others,
        evictions,
        evictions == 0 ? ", so the comparison says nothing about eviction" : "",
        peak,
        devices.getFirst().model(),
        pool,
        peak > pool ? ": it would not fit" : "");
  }

  private String mixingSentence() {
    List<String> parts = new ArrayList<>();
    for (Device device : devices) {
      double wait = paper(device, PaperWorkload.RATE).throughput();
      double capped = of(device, PaperWorkload.RATE, PaperExperiment.CAPPED).throughput();
      double vllm = of(device, PaperWorkload.RATE, PaperExperiment.VLLM).throughput();
      parts.add(
          "%s: fcfs %s over vLLM, WAIT %s over fcfs"
              .formatted(
                  device.model(),
                  Ratios.of(capped / vllm).text(),
                  Ratios.of(wait / capped).text()));
    }
    return "Where the difference to vLLM comes from, at 66 requests/s: fcfs with its best cap mixes"
        + " prefill and decode as WAIT does, but has no thresholds. "
        + String.join("; ", parts)
        + ".";
  }

  private String untunedSentence() {
    List<String> parts = new ArrayList<>();
    for (Device device : devices) {
      double best =
          fair.stream()
              .filter(f -> f.device() == device && f.rate() == PaperWorkload.RATE)
              .filter(f -> f.contender() != PaperExperiment.MCSF)
              .mapToDouble(Fair::throughput)
              .max()
              .orElseThrow();
      Fair weir = of(device, PaperWorkload.RATE, PaperExperiment.WEIR);
      Fair mcsf = of(device, PaperWorkload.RATE, PaperExperiment.MCSF);
      parts.add(
          String.format(
              Locale.ROOT,
              "%s %.1f %% of the best (clairvoyant mcsf: %.1f %%)",
              device.model(),
              100 * weir.throughput() / best,
              100 * mcsf.throughput() / best));
    }
    return "Throughput of weir, with nothing tuned, at 66 requests/s: "
        + String.join("; ", parts)
        + ".";
  }
}
