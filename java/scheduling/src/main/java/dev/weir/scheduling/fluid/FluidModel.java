package dev.weir.scheduling.fluid;

import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.RequestClass;
import dev.weir.scheduling.Workload;
import java.util.List;

/**
 * The deterministic ("fluid") limit of a serving system that batches every resident request in each
 * iteration: equilibrium load, iteration time and KV memory. Ao, Luo, Simchi-Levi, Wang,
 * "Optimizing LLM Inference: Fluid-Guided Online Scheduling with Memory Constraints" (arXiv
 * 2504.11320), section on the fluid model; restated in {@code scheduling.md} section 2.
 *
 * <p>A request with prompt {@code p} and output {@code S} is resident for {@code S + 1} iterations
 * with {@code p + S/2} tokens on average, so its work is {@code (S + 1)(p + S/2)} token-iterations.
 * In equilibrium an iteration of {@code dT} seconds admits {@code lambda dT} requests and holds
 * that many at every stage.
 *
 * @param arrivalRate {@code lambda}, requests a second, greater than 0
 * @param work {@code W = E[(S + 1)(p + S/2)]}, token-iterations a request, greater than 0
 * @param meanOutputTokens {@code E[S]}, tokens
 * @param cost the linear time of an iteration
 * @param capacityTokens {@code C}, tokens, greater than 0
 */
public record FluidModel(
    double arrivalRate,
    double work,
    double meanOutputTokens,
    IterationCost cost,
    double capacityTokens) {

  public FluidModel {
    requirePositive("arrivalRate", arrivalRate);
    requirePositive("work", work);
    requirePositive("meanOutputTokens", meanOutputTokens);
    requirePositive("capacityTokens", capacityTokens);
  }

  /**
   * The model of a workload: of its classes if it has any, else of its histograms, with prompt and
   * output length taken as independent.
   */
  public static FluidModel of(Workload workload, IterationCost cost, KvCapacity memory) {
    return new FluidModel(
        workload.arrivalRate(),
        work(workload),
        workload.outputTokens().mean(),
        cost,
        memory.tokens());
  }

  /** The model of a load that consists of these classes, at least one. */
  public static FluidModel of(List<RequestClass> classes, IterationCost cost, KvCapacity memory) {
    return of(Workload.of(classes), cost, memory);
  }

  /** {@code E[(S + 1)(p + S/2)]}, token-iterations. */
  static double work(Workload workload) {
    if (workload.classes().isEmpty()) {
      return work(workload.promptTokens(), workload.outputTokens());
    }
    double rate = 0;
    double work = 0;
    for (RequestClass c : workload.classes()) {
      rate += c.arrivalRate();
      work += c.arrivalRate() * c.work();
    }
    return work / rate;
  }

  /**
   * {@code E[(S + 1)(p + S/2)] = E[p](E[S] + 1) + (E[S^2] + E[S])/2} for independent {@code p} and
   * {@code S}.
   */
  private static double work(LengthHistogram prompt, LengthHistogram output) {
    double mean = output.mean();
    double secondMoment = output.standardDeviation() * output.standardDeviation() + mean * mean;
    return prompt.mean() * (mean + 1) + (secondMoment + mean) / 2;
  }

  /**
   * {@code rho = d1 lambda W}: the share of time that goes into tokens; the rest is there to pay
   * {@code d0}.
   */
  public double load() {
    return cost.secondsPerToken() * arrivalRate * work;
  }

  /** {@code d0 / (1 - rho)}, seconds; positive infinity if {@code rho >= 1}. */
  public double iterationSeconds() {
    double load = load();
    return load >= 1 ? Double.POSITIVE_INFINITY : cost.fixedSeconds() / (1 - load);
  }

  /** {@code M* = dT* lambda W}, tokens; positive infinity if {@code rho >= 1}. */
  public double residentTokens() {
    return iterationSeconds() * arrivalRate * work;
  }

  /** {@code lambda E[S]}, output tokens a second, if the system is {@link #isStable() stable}. */
  public double throughput() {
    return arrivalRate * meanOutputTokens;
  }

  /** Whether {@code rho < 1} and {@code M* <= C}. */
  public boolean isStable() {
    return load() < 1 && residentTokens() <= capacityTokens;
  }

  /** {@code 1 - max(rho, M* / C)}: negative if unstable, negative infinity if {@code rho >= 1}. */
  public double stabilityMargin() {
    return 1 - Math.max(load(), residentTokens() / capacityTokens);
  }

  /**
   * {@code mu = C / (W (d0 + d1 C))}, requests a second: the arrival rate whose equilibrium just
   * fills the memory.
   */
  public double sustainableRate() {
    return capacityTokens / (work * cost.seconds(capacityTokens));
  }

  private static void requirePositive(String name, double value) {
    if (!(value > 0) || Double.isInfinite(value)) {
      throw new IllegalArgumentException(
          name + " is " + value + ", must be finite and greater than 0");
    }
  }
}
