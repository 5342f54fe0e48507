package dev.weir.simulation.measured;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.weir.simulation.BatchNotation;
import dev.weir.simulation.MeasuredIterationTime;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * The file of a {@link MeasuredIterationTime} with, in its field {@code profile}, how it was
 * measured:
 *
 * <pre>{@code
 * {
 *   "version": "0.1.0", "date": "2026-11-20T18:00:00Z",
 *   "device": {...}, "model": {...}, "settings": {...},
 *   "drift": 0.01,
 *   "residuals": {"fitted": {"decode": {"batches": 9, "median": 0.02, ...}}, "heldOut": {...}},
 *   "samples": [{"batch": "D32x512", "heldOut": false, "seconds": [0.011, 0.0109]}]
 * }
 * }</pre>
 *
 * <p>Batches are in the notation of {@link BatchNotation}. The residuals follow from the samples
 * and are written for people; they are not read.
 */
public final class MeasurementFile {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES)
          .build();

  private MeasurementFile() {}

  private record Sample(String batch, boolean heldOut, List<Double> seconds) {}

  private record Residuals(
      Map<String, IterationTimeFit.Residual> fitted,
      Map<String, IterationTimeFit.Residual> heldOut) {}

  private record Profile(
      String version,
      String date,
      Map<String, Object> device,
      Map<String, Object> model,
      Map<String, Object> settings,
      double drift,
      JsonNode residuals,
      List<Sample> samples) {}

  /** Writes the fit and what it was made from. */
  public static void write(Path file, IterationTimeFit fit, Measurement measurement)
      throws IOException {
    MeasuredIterationTime time = fit.time();
    ObjectNode root = JSON.createObjectNode();
    root.put("format", MeasuredIterationTime.FORMAT);
    root.put("device", time.device());
    root.put("model", time.model());
    root.set("tokens", JSON.valueToTree(time.tokens()));
    root.set("seconds", JSON.valueToTree(time.secondsAtTokens()));
    root.put("secondsPerDecodeContextToken", time.secondsPerDecodeContextToken());
    root.put("secondsPerPrefillPair", time.secondsPerPrefillPair());
    root.set(
        MeasuredIterationTime.PROFILE,
        JSON.valueToTree(
            new Profile(
                measurement.version(),
                measurement.date(),
                measurement.device(),
                measurement.model(),
                measurement.settings(),
                measurement.drift(),
                JSON.valueToTree(new Residuals(named(fit.fitted()), named(fit.heldOut()))),
                measurement.samples().stream()
                    .map(sample -> new Sample(sample.batch(), sample.heldOut(), sample.seconds()))
                    .toList())));
    Path folder = file.toAbsolutePath().getParent();
    if (folder != null) {
      Files.createDirectories(folder);
    }
    DefaultPrettyPrinter printer =
        new DefaultPrettyPrinter().withObjectIndenter(new DefaultIndenter("  ", "\n"));
    Files.write(
        file,
        (JSON.writer(printer).writeValueAsString(root) + "\n").getBytes(StandardCharsets.UTF_8));
  }

  private static Map<String, IterationTimeFit.Residual> named(
      Map<Region, IterationTimeFit.Residual> residuals) {
    Map<String, IterationTimeFit.Residual> named = new TreeMap<>();
    residuals.forEach(
        (region, residual) -> named.put(region.name().toLowerCase(Locale.ROOT), residual));
    return named;
  }

  /**
   * Reads how a file was measured.
   *
   * @throws IOException if the file cannot be read, is no JSON of this form, or tells only
   *     coefficients
   * @throws IllegalArgumentException if a batch or a time is out of range; the message names the
   *     file and the value
   */
  public static Measurement read(Path file) throws IOException {
    Profile profile;
    try {
      JsonNode section =
          JSON.readTree(Files.readAllBytes(file)).path(MeasuredIterationTime.PROFILE);
      if (section.isMissingNode()) {
        throw new IOException(
            file + " has no field '" + MeasuredIterationTime.PROFILE + "' with what was measured");
      }
      profile = JSON.treeToValue(section, Profile.class);
    } catch (JacksonException e) {
      throw new IOException(file + " is no measurement: " + e.getOriginalMessage(), e);
    }
    try {
      return new Measurement(
          profile.version(),
          profile.date(),
          profile.device(),
          profile.model(),
          profile.settings(),
          profile.drift(),
          profile.samples().stream()
              .map(
                  sample ->
                      new BatchSample(
                          BatchNotation.parse(sample.batch()), sample.heldOut(), sample.seconds()))
              .toList());
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(file + ": " + e.getMessage(), e);
    }
  }
}
