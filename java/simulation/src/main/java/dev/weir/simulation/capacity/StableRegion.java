package dev.weir.simulation.capacity;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.fluid.FluidModel;
import dev.weir.simulation.BatchShape;
import dev.weir.simulation.IterationTime;
import dev.weir.simulation.IterationTimes;
import dev.weir.simulation.LinearIterationTime;

/**
 * Which load a pool carries in the fluid model, with the iteration time laid out as a line.
 *
 * <p>In equilibrium with {@code M} resident tokens an iteration admits {@code a = M / W} requests:
 * it computes {@code a E[p]} prompt tokens and {@code a E[S]} decoding requests. The line goes
 * through the time of that batch with the most resident tokens there can be, and through the time
 * of a single decoding request. So the largest stable rate is that of the model of the iteration
 * time itself, prefill included; between the two points the line is off by at most {@link
 * #residual()}.
 *
 * @param lengths the mix
 * @param memory the KV pool
 * @param limits the size of an iteration
 * @param usableTokens resident tokens that memory and limits allow in equilibrium
 * @param bound which of them it is that allows no more
 * @param cost the line
 * @param residual the largest relative error of the line, from a tenth of {@code usableTokens} on
 */
public record StableRegion(
    LengthMoments lengths,
    KvCapacity memory,
    BatchLimits limits,
    double usableTokens,
    Bound bound,
    IterationCost cost,
    double residual) {
  private static final int RESIDUAL_POINTS = 10;

  /** Admissions vary from iteration to iteration; the mean over these is that of equilibrium. */
  private static final double[] ADMISSION_SHARES = {0.5, 0.75, 1, 1.25, 1.5};

  /** What allows no more resident tokens. */
  public enum Bound {
    KV_MEMORY("KV memory"),
    SEQUENCES("the sequences in an iteration"),
    TOKEN_BUDGET("the tokens in an iteration");

    private final String text;

    Bound(String text) {
      this.text = text;
    }

    @Override
    public String toString() {
      return text;
    }
  }

  /** The region of a mix. */
  public static StableRegion of(
      IterationTime time, LengthMoments lengths, KvCapacity memory, BatchLimits limits) {
    double work = lengths.work();
    double bySequences = limits.maxSequences() * work / (lengths.output() + 1);
    double byTokens = limits.maxTokens() * work / (lengths.prompt() + lengths.output());
    double usable = Math.min(memory.tokens(), Math.min(bySequences, byTokens));
    Bound bound =
        usable == memory.tokens()
            ? Bound.KV_MEMORY
            : usable == bySequences ? Bound.SEQUENCES : Bound.TOKEN_BUDGET;
    IterationCost cost = line(time, lengths, usable);
    double residual = 0;
    for (int i = 1; i <= RESIDUAL_POINTS; i++) {
      double resident = usable * i / RESIDUAL_POINTS;
      double seconds = equilibriumSeconds(time, lengths, resident);
      residual = Math.max(residual, Math.abs(cost.seconds(resident) / seconds - 1));
    }
    return new StableRegion(lengths, memory, limits, usable, bound, cost, residual);
  }

  private static IterationCost line(IterationTime time, LengthMoments lengths, double usable) {
    if (time instanceof LinearIterationTime linear) {
      return linear.cost();
    }
    int context = (int) Math.max(1, Math.min(usable, lengths.work() / (lengths.output() + 1)));
    BatchShape single = new BatchShape();
    single.addDecode(context);
    double most = equilibriumSeconds(time, lengths, usable);
    return IterationTimes.line(context, time.seconds(single), usable, most);
  }

  /** The time of the batch that holds {@code resident} tokens in equilibrium. */
  private static double equilibriumSeconds(
      IterationTime time, LengthMoments lengths, double resident) {
    if (time instanceof LinearIterationTime linear) {
      return linear.cost().seconds(resident);
    }
    double admitted = resident / lengths.work();
    int decodes = (int) Math.max(1, Math.rint(admitted * lengths.output()));
    int context = (int) Math.max(1, Math.rint((resident - admitted * lengths.prompt()) / decodes));
    double sum = 0;
    for (double share : ADMISSION_SHARES) {
      BatchShape batch = new BatchShape();
      for (int i = 0; i < decodes; i++) {
        batch.addDecode(context);
      }
      addPrompts(batch, lengths, share * admitted);
      sum += time.seconds(batch);
    }
    return sum / ADMISSION_SHARES.length;
  }

  /**
   * Part of a prompt, if less than one is computed in an iteration. A token of a prompt has {@code
   * E[p^2] / (2 E[p])} tokens before it on average; those that are not in its own chunk are cached.
   */
  private static void addPrompts(BatchShape batch, LengthMoments lengths, double admitted) {
    int prompts = (int) Math.max(1, Math.rint(admitted));
    int tokens = (int) Math.rint(admitted * lengths.prompt() / prompts);
    double before = lengths.promptSquared() / lengths.prompt();
    int cached = (int) Math.max(0, Math.rint((before - tokens) / 2));
    for (int i = 0; tokens > 0 && i < prompts; i++) {
      batch.addPrefill(tokens, cached);
    }
  }

  /** The fluid model at an arrival rate, with {@link #usableTokens} for its capacity. */
  public FluidModel at(double requestsPerSecond) {
    return new FluidModel(requestsPerSecond, lengths.work(), lengths.output(), cost, usableTokens);
  }

  /** {@code mu}, requests a second. */
  public double sustainableRate() {
    return at(1).sustainableRate();
  }

  /** Requests that are resident when so many tokens are. */
  public double requests(double residentTokens) {
    return residentTokens * (lengths.output() + 1) / lengths.work();
  }
}
