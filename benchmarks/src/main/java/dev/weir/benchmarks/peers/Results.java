package dev.weir.benchmarks.peers;

import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;

/** What was measured with one model. */
final class Results {
  /** Who was measured, in which setting. */
  enum Engine {
    LLAMA_FLASH("llama.cpp, flash attention"),
    LLAMA_PLAIN("llama.cpp, attention without flash"),
    WEIR("Weir"),
    JLAMA("Jlama");

    final String text;

    Engine(String text) {
      this.text = text;
    }
  }

  /** What a sample is. */
  enum Quantity {
    /** Prompt tokens a second. */
    PROMPT,
    /** Decoded tokens a second over all sequences. */
    DECODE,
    /** Microseconds of a decode step outside of the native call. */
    JAVA
  }

  /** Of what samples are. Prompts are those of one sequence at any batch; their batch is 1. */
  record Key(Engine engine, Quantity quantity, Point point) {}

  private final Map<Key, Samples> samples = new LinkedHashMap<>();

  void add(Engine engine, Point point, Rates rates) {
    add(engine, Quantity.PROMPT, new Point(point.context(), 1), rates.prompt());
    add(engine, Quantity.DECODE, point, rates.decode());
  }

  void add(Engine engine, Quantity quantity, Point point, double value) {
    samples.computeIfAbsent(new Key(engine, quantity, point), key -> new Samples()).add(value);
  }

  /** Empty if nothing was measured. */
  Samples get(Engine engine, Quantity quantity, Point point) {
    return samples.getOrDefault(new Key(engine, quantity, point), new Samples());
  }

  /** All samples in the order in which each was first measured. */
  Map<Key, Samples> all() {
    return Collections.unmodifiableMap(samples);
  }

  /** The setting of llama.cpp with the higher median, for which nothing may have been measured. */
  Engine faster(Quantity quantity, Point point) {
    return Stream.of(Engine.LLAMA_PLAIN, Engine.LLAMA_FLASH)
        .filter(engine -> !get(engine, quantity, point).isEmpty())
        .max(Comparator.comparingDouble(engine -> get(engine, quantity, point).median()))
        .orElse(Engine.LLAMA_FLASH);
  }
}
