package dev.weir.simulation.experiment;

import dev.weir.scheduling.KvCapacity;
import dev.weir.simulation.SimulatedIteration;
import dev.weir.simulation.SimulatedRequest;
import dev.weir.simulation.SimulationListener;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * Judges each admission for which the scheduler predicted an overflow by the true lengths: do the
 * requests that are resident at that moment, the admitted one among them, come to need more blocks
 * than the pool has before they end, if nobody else is admitted? That is what {@link
 * dev.weir.scheduling.IterationPlan#predictOverflow} predicts. Exact, with every resident rounded
 * up to whole blocks, for residents that all advance in every iteration and complete their prompts
 * in the one that is planned.
 *
 * <p>Of several admissions in one plan, each is judged together with those before it.
 */
final class OverflowJudge implements SimulationListener {
  /**
   * An admission.
   *
   * @param probability that the scheduler predicted
   * @param overflow whether it came true
   */
  record Judgement(double probability, boolean overflow) {}

  /**
   * An admission with those who were resident.
   *
   * @param judgement what was predicted and what happened
   * @param residents at that moment
   */
  record Sample(Judgement judgement, Residents residents) {}

  private record Prediction(SimulatedRequest request, double probability) {}

  private final KvCapacity memory;
  private final int sampleEvery;
  private final Set<SimulatedRequest> alive = new LinkedHashSet<>();
  private final List<Prediction> pending = new ArrayList<>();
  private final List<Judgement> judgements = new ArrayList<>();
  private final List<Sample> samples = new ArrayList<>();

  /**
   * @param sampleEvery keeps the residents of one in so many admissions
   */
  OverflowJudge(KvCapacity memory, int sampleEvery) {
    this.memory = memory;
    this.sampleEvery = sampleEvery;
  }

  @Override
  public void arrived(SimulatedRequest request) {
    alive.add(request);
  }

  @Override
  public void completed(SimulatedRequest request) {
    alive.remove(request);
  }

  @Override
  public void predicted(SimulatedRequest request, double overflowProbability) {
    pending.add(new Prediction(request, overflowProbability));
  }

  /** The requests of {@link SimulatedRequest} are still where they were when it was planned. */
  @Override
  public void iterated(SimulatedIteration iteration) {
    if (pending.isEmpty()) {
      return;
    }
    List<SimulatedRequest> residents =
        new ArrayList<>(alive.stream().filter(SimulatedRequest::resident).toList());
    pending.forEach(prediction -> residents.remove(prediction.request()));
    for (Prediction prediction : pending) {
      residents.add(prediction.request());
      judge(prediction.probability(), Residents.of(residents));
    }
    pending.clear();
  }

  private void judge(double probability, Residents residents) {
    boolean overflow = residents.peakBlocks(memory) > memory.blocks();
    Judgement judgement = new Judgement(probability, overflow);
    if (judgements.size() % sampleEvery == 0) {
      samples.add(new Sample(judgement, residents));
    }
    judgements.add(judgement);
  }

  /** In the order of admission. */
  List<Judgement> judgements() {
    return judgements;
  }

  /** In the order of admission. */
  List<Sample> samples() {
    return samples;
  }
}
