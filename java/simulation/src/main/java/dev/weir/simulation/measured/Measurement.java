package dev.weir.simulation.measured;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * How an iteration's time was measured: what is needed to judge it, and to fit it again.
 *
 * @param version of Weir
 * @param date when, in ISO 8601
 * @param device facts by name: kind, precision, threads
 * @param model facts by name: the shape
 * @param settings facts by name: sizes of the KV pool and of a batch, repetitions, seed
 * @param drift how much longer batches took in the last round of measuring, relative to the first:
 *     a machine that got slower or busier meanwhile
 * @param samples what was measured, in this order
 */
public record Measurement(
    String version,
    String date,
    Map<String, Object> device,
    Map<String, Object> model,
    Map<String, Object> settings,
    double drift,
    List<BatchSample> samples) {
  /** Copies the collections; maps keep their order. */
  public Measurement {
    device = new LinkedHashMap<>(device);
    model = new LinkedHashMap<>(model);
    settings = new LinkedHashMap<>(settings);
    samples = List.copyOf(samples);
  }
}
