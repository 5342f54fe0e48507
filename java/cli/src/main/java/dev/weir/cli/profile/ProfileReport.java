package dev.weir.cli.profile;

import dev.weir.simulation.IterationTime;
import dev.weir.simulation.MeasuredIterationTime;
import dev.weir.simulation.experiment.ExperimentResult;
import dev.weir.simulation.experiment.Plot;
import dev.weir.simulation.experiment.Plot.Axis;
import dev.weir.simulation.experiment.Plot.Marker;
import dev.weir.simulation.experiment.Plot.Orientation;
import dev.weir.simulation.experiment.Plot.Point;
import dev.weir.simulation.experiment.Plot.Series;
import dev.weir.simulation.experiment.Plot.Style;
import dev.weir.simulation.experiment.Setting;
import dev.weir.simulation.experiment.Table;
import dev.weir.simulation.measured.BatchSample;
import dev.weir.simulation.measured.IterationTimeFit;
import dev.weir.simulation.measured.IterationTimeFit.Residual;
import dev.weir.simulation.measured.Measurement;
import dev.weir.simulation.measured.Region;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.ToIntFunction;
import java.util.stream.IntStream;

/** A fit beside what it was made from, as tables and charts. */
public final class ProfileReport {
  private static final double MILLIS = 1e3;
  private static final double MICROS = 1e6;
  private static final double NANOS = 1e9;
  private static final double PERCENT = 100;

  /** Rows of a region that fit on a screen with those of the others. */
  private static final int SHOWN = 8;

  private ProfileReport() {}

  /** The report. */
  public static ExperimentResult of(IterationTimeFit fit, Measurement measurement) {
    MeasuredIterationTime time = fit.time();
    List<BatchSample> samples = measurement.samples();
    List<Table> tables = new ArrayList<>();
    tables.add(
        comparison(
            "batches", "Measured against fitted, some of each region", false, some(samples), time));
    tables.add(residuals(fit));
    tables.add(function(time));
    tables.add(comparison("samples", "All batches", true, samples, time));
    return new ExperimentResult(
        "profile",
        "Iteration time of " + time.model() + " on " + time.device(),
        List.of(
            "Batches of the model were run on the device, and the model of an iteration's time was"
                + " fitted to their medians: f(tokens computed) + a x (sum of the contexts of decoding"
                + " requests) + b x (pairs of a prefilled token and one that it attends to). The held"
                + " out batches, drawn at random, were not fitted; their errors tell how well the"
                + " simulator predicts."),
        findings(fit, measurement),
        settings(measurement),
        tables,
        List.of(agreement(samples, time), errors(samples, time), decode(samples), prefill(samples)),
        List.of());
  }

  private static List<String> findings(IterationTimeFit fit, Measurement measurement) {
    MeasuredIterationTime time = fit.time();
    List<String> findings = new ArrayList<>();
    findings.add(
        String.format(
            Locale.ROOT,
            "a = %.4g ns a token of context, b = %.4g ns a pair.",
            time.secondsPerDecodeContextToken() * NANOS,
            time.secondsPerPrefillPair() * NANOS));
    double[] spreads =
        measurement.samples().stream().mapToDouble(BatchSample::spread).sorted().toArray();
    findings.add(
        String.format(
            Locale.ROOT,
            "Repetitions of a batch differ by ±%.1f %% (half of the distance between quartiles, of the"
                + " middle batch); the last round took %+.1f %% against the first.",
            PERCENT * spreads[spreads.length / 2],
            PERCENT * measurement.drift()));
    return findings;
  }

  private static List<Setting> settings(Measurement measurement) {
    List<Setting> settings = new ArrayList<>();
    settings.add(new Setting("version", measurement.version()));
    settings.add(new Setting("date", measurement.date()));
    for (Map<String, Object> facts :
        List.of(measurement.device(), measurement.model(), measurement.settings())) {
      facts.forEach((name, value) -> settings.add(new Setting(name, String.valueOf(value))));
    }
    return settings;
  }

  /** A few of each region, the quickest and the slowest among them. */
  private static List<BatchSample> some(List<BatchSample> samples) {
    List<BatchSample> chosen = new ArrayList<>();
    for (Region region : Region.values()) {
      List<BatchSample> all = of(region, samples);
      int shown = Math.min(SHOWN, all.size());
      IntStream.range(0, shown)
          .map(i -> shown == 1 ? 0 : i * (all.size() - 1) / (shown - 1))
          .mapToObj(all::get)
          .forEach(chosen::add);
    }
    return chosen;
  }

  private static List<BatchSample> of(Region region, List<BatchSample> samples) {
    return samples.stream()
        .filter(sample -> sample.region() == region)
        .sorted(Comparator.comparingDouble(BatchSample::median))
        .toList();
  }

  private static Table comparison(
      String id, String title, boolean detail, List<BatchSample> samples, IterationTime time) {
    Table.Builder table =
        Table.titled(id, title)
            .column("region")
            .column("batch")
            .column("held out")
            .column("measured", "ms")
            .column("fitted", "ms")
            .column("error", "%");
    if (detail) {
      table.detail();
    }
    for (BatchSample sample : samples) {
      table.row(
          name(sample.region()),
          sample.description(),
          sample.heldOut() ? "yes" : "",
          sample.median() * MILLIS,
          time.seconds(sample.shape()) * MILLIS,
          percent(IterationTimeFit.error(sample, time)));
    }
    return table.build();
  }

  private static Table residuals(IterationTimeFit fit) {
    Table.Builder table =
        Table.titled("residuals", "Errors of the fit")
            .note("Relative to what was measured; median and worst of the absolute errors.")
            .column("region")
            .column("")
            .column("batches")
            .column("median", "%")
            .column("worst", "%")
            .column("mean", "%")
            .column("worst batch");
    for (Region region : Region.values()) {
      addRow(table, region, "fitted", fit.fitted().get(region));
      addRow(table, region, "held out", fit.heldOut().get(region));
    }
    return table.build();
  }

  private static void addRow(Table.Builder table, Region region, String kind, Residual residual) {
    if (residual != null) {
      table.row(
          name(region),
          kind,
          residual.batches(),
          percent(residual.median()),
          percent(residual.worst()),
          percent(residual.bias()),
          residual.worstBatch());
    }
  }

  private static Table function(MeasuredIterationTime time) {
    Table.Builder table =
        Table.titled("f", "f: what the tokens of a batch cost, without attention")
            .column("tokens")
            .column("time", "ms")
            .column("a token", "us");
    int[] tokens = time.tokens();
    double[] seconds = time.secondsAtTokens();
    for (int i = 0; i < tokens.length; i++) {
      table.row(tokens[i], seconds[i] * MILLIS, seconds[i] * MICROS / tokens[i]);
    }
    return table.build();
  }

  /** With two decimals: what rounding leaves of an exact fit is 0. */
  private static double percent(double share) {
    return Math.rint(share * PERCENT * 100) / 100;
  }

  private static String name(Region region) {
    return region.name().toLowerCase(Locale.ROOT);
  }

  private static Plot agreement(List<BatchSample> samples, IterationTime time) {
    List<Series> series = new ArrayList<>();
    for (Region region : Region.values()) {
      for (boolean heldOut : new boolean[] {false, true}) {
        List<Point> points =
            samples.stream()
                .filter(sample -> sample.region() == region && sample.heldOut() == heldOut)
                .map(
                    sample ->
                        Point.of(sample.median() * MILLIS, time.seconds(sample.shape()) * MILLIS))
                .toList();
        if (!points.isEmpty()) {
          series.add(
              new Series(name(region) + (heldOut ? ", held out" : ""), Style.SCATTER, points));
        }
      }
    }
    double least = samples.stream().mapToDouble(BatchSample::median).min().orElseThrow() * MILLIS;
    double most = samples.stream().mapToDouble(BatchSample::median).max().orElseThrow() * MILLIS;
    series.add(
        new Series("equal", Style.LINE, List.of(Point.of(least, least), Point.of(most, most))));
    return new Plot(
        "agreement",
        "Predicted against measured",
        "A point on the line is predicted exactly.",
        Axis.logarithmic("measured, ms"),
        Axis.logarithmic("predicted, ms"),
        series,
        List.of());
  }

  private static Plot errors(List<BatchSample> samples, IterationTime time) {
    List<Series> series = new ArrayList<>();
    for (Region region : Region.values()) {
      List<Point> points =
          of(region, samples).stream()
              .map(
                  sample ->
                      Point.of(
                          sample.median() * MILLIS, IterationTimeFit.error(sample, time) * PERCENT))
              .toList();
      if (!points.isEmpty()) {
        series.add(new Series(name(region), Style.SCATTER, points));
      }
    }
    return new Plot(
        "errors",
        "Errors by duration",
        "Above 0 the model is too slow, below 0 too fast.",
        Axis.logarithmic("measured, ms"),
        Axis.linear("error, %"),
        series,
        List.of(new Marker(Orientation.HORIZONTAL, 0, "")));
  }

  private static Plot decode(List<BatchSample> samples) {
    return curves(
        "decode",
        "Decoding, measured",
        "tokens in the cache of each request",
        of(Region.DECODE, samples).stream().filter(sample -> !sample.heldOut()).toList(),
        sample -> sample.groups().getFirst().tokens(),
        sample -> sample.groups().getFirst().requests(),
        " requests");
  }

  private static Plot prefill(List<BatchSample> samples) {
    return curves(
        "prefill",
        "Prefill, measured",
        "tokens of the prompt computed",
        of(Region.PREFILL, samples).stream().filter(sample -> !sample.heldOut()).toList(),
        sample -> sample.shape().tokens(),
        sample -> sample.groups().getFirst().cached(),
        " tokens cached before");
  }

  /** Times by {@code x}, a line for each value of {@code parameter} that has more than a point. */
  private static Plot curves(
      String id,
      String title,
      String label,
      List<BatchSample> samples,
      ToIntFunction<BatchSample> x,
      ToIntFunction<BatchSample> parameter,
      String unit) {
    Map<Integer, List<BatchSample>> lines = new TreeMap<>();
    for (BatchSample sample : samples) {
      lines.computeIfAbsent(parameter.applyAsInt(sample), _ -> new ArrayList<>()).add(sample);
    }
    List<Series> series = new ArrayList<>();
    lines.forEach(
        (value, line) -> {
          if (line.size() > 1) {
            line.sort(Comparator.comparingInt(x));
            series.add(
                new Series(
                    value + unit,
                    Style.LINE,
                    line.stream()
                        .map(sample -> Point.of(x.applyAsInt(sample), sample.median() * MILLIS))
                        .toList()));
          }
        });
    return new Plot(
        id, title, "", Axis.logarithmic(label), Axis.logarithmic("ms"), series, List.of());
  }
}
