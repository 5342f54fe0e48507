package dev.weir.simulation.experiment;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.Workload;
import dev.weir.scheduling.fluid.FluidModel;
import dev.weir.simulation.BatchShape;
import dev.weir.simulation.IterationTime;
import dev.weir.simulation.IterationTimes;
import dev.weir.simulation.SimulationOptions;
import dev.weir.simulation.SimulationSemantics;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A device with a memory, and the lengths that it serves.
 *
 * @param lengths lengths of the requests; every client declares the longest output, as nobody knows
 *     how long an answer will be
 * @param memory the KV pool
 * @param limits size of an iteration
 * @param time how long an iteration takes
 */
public record ServingSetup(
    RequestLengths lengths, KvCapacity memory, BatchLimits limits, IterationTime time) {

  /** The linearised time of an iteration: of a full pool of average requests, half way through. */
  public IterationCost cost() {
    double context = lengths.meanPromptTokens() + lengths.meanOutputTokens() / 2;
    int requests =
        (int)
            Math.clamp(
                Math.floor(memory.tokens() / context), 2, Math.max(2, limits.maxSequences()));
    return IterationTimes.linearise(time, requests, (int) Math.max(1, context));
  }

  /** The fluid model at an arrival rate, with {@code W} of the joint distribution. */
  public FluidModel fluid(double arrivalRate) {
    return new FluidModel(
        arrivalRate, lengths.work(), lengths.meanOutputTokens(), cost(), memory.tokens());
  }

  /** The fluid model's {@code mu}, requests a second. */
  public double fluidRate() {
    return fluid(1).sustainableRate();
  }

  /**
   * Requests that a full pool holds on average, if their ages are spread evenly: capacity over the
   * tokens that a request holds in its mean iteration.
   */
  public double residentsWhenFull() {
    return memory.tokens() * (lengths.meanOutputTokens() + 1) / lengths.work();
  }

  /** Whether memory runs out before the limit on sequences is reached. */
  public boolean memoryBound() {
    return residentsWhenFull() < limits.maxSequences();
  }

  /**
   * Requests a second with a full pool and ages spread evenly, by the time of iterations itself
   * instead of its linearisation: prefill costs what it costs, and the number of sequences is
   * limited. {@code mu} of the fluid model knows neither.
   */
  public double saturationRate() {
    double output = lengths.meanOutputTokens();
    double residents = Math.max(1, Math.min(residentsWhenFull(), limits.maxSequences()));
    double admitted = residents / output;
    int decodes = (int) Math.max(0, Math.round(residents - admitted));
    int context = (int) Math.max(1, Math.round(lengths.work() / (output + 1)));
    int whole = (int) Math.floor(admitted);
    double rest = admitted - whole;
    double seconds =
        (1 - rest) * seconds(decodes, context, whole) + rest * seconds(decodes, context, whole + 1);
    return admitted / seconds;
  }

  private double seconds(int decodes, int context, int prompts) {
    BatchShape batch = new BatchShape();
    for (int i = 0; i < decodes; i++) {
      batch.addDecode(context);
    }
    for (int i = 0; i < prompts; i++) {
      batch.addPrefill((int) Math.max(1, Math.round(lengths.meanPromptTokens())), 0);
    }
    if (batch.requests() == 0) {
      batch.addDecode(context);
    }
    return time.seconds(batch);
  }

  /**
   * A simulation of a policy.
   *
   * @param arrivalRate requests a second, for policies that know the distribution
   */
  public SimulationOptions simulation(Policy policy, double arrivalRate) {
    Optional<Workload> workload =
        policy.knowledge() == Policy.Knowledge.DISTRIBUTION
            ? Optional.of(lengths.workload(arrivalRate))
            : Optional.empty();
    return new SimulationOptions(
        policy.scheduler(),
        new SchedulerConfig(
            memory,
            limits,
            Preemption.RECOMPUTE,
            cost(),
            workload,
            SchedulerOptions.of(policy.options())),
        time,
        SimulationSemantics.WEIR,
        OptionalInt.of(lengths.maxOutputTokens()));
  }
}
