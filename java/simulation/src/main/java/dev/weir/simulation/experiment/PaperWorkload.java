package dev.weir.simulation.experiment;

import dev.weir.simulation.Arrival;
import dev.weir.simulation.ArrivalList;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A load of the simulations of arXiv 2504.11320, as the authors' fork of Vidur
 * (github.com/Luoxiaogan/vidur_or) generates it.
 *
 * @param lengths of the requests, in the proportion in which they come
 * @param clippedGaps whether a gap between two arrivals is at most three times the mean, as Vidur's
 *     Poisson generator has it, which makes the true rate 5 % higher
 */
record PaperWorkload(RequestLengths lengths, boolean clippedGaps) {
  /** Requests a second of the published runs. */
  static final int RATE = 66;

  private static final double LONGEST_GAP = 3;

  /** Requests of each of the ten classes among {@link #RATE}, by output length / 50. */
  private static final int[] CLASS_RATES = {23, 11, 8, 7, 6, 4, 3, 2, 1, 1};

  private static final int PROMPT = 60;
  private static final int STEP = 50;

  /** The ten classes 60/50, 60/100... 60/500. */
  static RequestLengths tenClasses() {
    List<Arrival> rows = new ArrayList<>();
    for (int i = 0; i < CLASS_RATES.length; i++) {
      for (int n = 0; n < CLASS_RATES[i]; n++) {
        rows.add(new Arrival(0, PROMPT, (i + 1) * STEP));
      }
    }
    return RequestLengths.of("ten classes 60/50..60/500", new ArrivalList("ten classes", rows));
  }

  /** The outputs of the ten classes, which are the boundaries of the published segments. */
  static int[] boundaries() {
    int[] boundaries = new int[CLASS_RATES.length];
    for (int i = 0; i < boundaries.length; i++) {
      boundaries[i] = (i + 1) * STEP;
    }
    return boundaries;
  }

  /**
   * Requests of the batch that each published segment may have: the total limit in proportion to
   * stages times the rate of requests that reach them.
   */
  static double[] segmentCaps(int totalLimit) {
    double[] caps = new double[CLASS_RATES.length];
    double reaching = 0;
    double sum = 0;
    for (int i = CLASS_RATES.length - 1; i >= 0; i--) {
      reaching += CLASS_RATES[i];
      caps[i] = reaching;
      sum += reaching;
    }
    for (int i = 0; i < caps.length; i++) {
      caps[i] *= totalLimit / sum;
    }
    return caps;
  }

  /**
   * Draws the requests.
   *
   * @param rate requests a second, before gaps are clipped
   */
  ArrivalList draw(int requests, double rate, long seed) {
    SplittableRandom gaps = new SplittableRandom(seed);
    SplittableRandom rows = gaps.split();
    List<Arrival> arrivals = new ArrayList<>(requests);
    double seconds = 0;
    for (int i = 0; i < requests; i++) {
      double gap = gaps.nextExponential();
      seconds += (clippedGaps ? Math.min(gap, LONGEST_GAP) : gap) / rate;
      arrivals.add(lengths.row(seconds, rows.nextInt(lengths.size())));
    }
    return new ArrivalList(lengths.name() + ", " + rate + " requests/s, seed " + seed, arrivals);
  }
}
