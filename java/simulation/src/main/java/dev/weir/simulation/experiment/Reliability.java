package dev.weir.simulation.experiment;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.apache.commons.math3.stat.interval.ConfidenceInterval;
import org.apache.commons.math3.stat.interval.WilsonScoreInterval;

/**
 * How far predicted probabilities came true.
 *
 * @param predictions number of predictions
 * @param meanPredicted mean of the predicted probabilities
 * @param realised share of the predicted events that happened
 * @param brierScore mean squared difference between prediction and event (0 or 1); 0 is perfect
 * @param constantBrierScore the score of always predicting {@code realised}, which is as good as
 *     one can get without telling cases apart
 * @param groups the predictions in order, in up to ten groups of about the same number
 */
record Reliability(
    long predictions,
    double meanPredicted,
    double realised,
    double brierScore,
    double constantBrierScore,
    List<Group> groups) {

  /** Groups; equal predictions are never torn apart, so there may be fewer. */
  private static final int DECILES = 10;

  /**
   * Predictions of about the same probability.
   *
   * @param from lowest prediction
   * @param to highest prediction
   * @param predictions number
   * @param events that happened
   * @param meanPredicted mean prediction
   */
  record Group(double from, double to, int predictions, int events, double meanPredicted) {
    double realised() {
      return events / (double) predictions;
    }

    /**
     * The 95 % interval of the realised share by Wilson's score, as if the predictions were
     * independent. Those of neighbouring admissions are not, so the true interval is wider.
     */
    ConfidenceInterval interval() {
      return new WilsonScoreInterval().createInterval(predictions, events, Estimate.CONFIDENCE);
    }
  }

  /** Compares predictions with what happened. All figures are NaN if there are none. */
  static Reliability of(List<OverflowJudge.Judgement> judgements) {
    List<OverflowJudge.Judgement> sorted =
        judgements.stream()
            .sorted(Comparator.comparingDouble(OverflowJudge.Judgement::probability))
            .toList();
    int count = sorted.size();
    double predicted = 0;
    double score = 0;
    int events = 0;
    for (OverflowJudge.Judgement judgement : sorted) {
      double outcome = judgement.overflow() ? 1 : 0;
      predicted += judgement.probability();
      score += Math.pow(judgement.probability() - outcome, 2);
      events += judgement.overflow() ? 1 : 0;
    }
    double realised = events / (double) count;
    return new Reliability(
        count,
        predicted / count,
        realised,
        score / count,
        realised * (1 - realised),
        groups(sorted));
  }

  private static List<Group> groups(List<OverflowJudge.Judgement> sorted) {
    List<Group> groups = new ArrayList<>();
    int start = 0;
    for (int decile = 1; decile <= DECILES; decile++) {
      int end = Math.toIntExact((long) sorted.size() * decile / DECILES);
      while (end > start
          && end < sorted.size()
          && sorted.get(end).probability() == sorted.get(end - 1).probability()) {
        end++;
      }
      if (end > start) {
        groups.add(group(sorted.subList(start, end)));
        start = end;
      }
    }
    return List.copyOf(groups);
  }

  private static Group group(List<OverflowJudge.Judgement> members) {
    return new Group(
        members.getFirst().probability(),
        members.getLast().probability(),
        members.size(),
        (int) members.stream().filter(OverflowJudge.Judgement::overflow).count(),
        members.stream().mapToDouble(OverflowJudge.Judgement::probability).average().orElseThrow());
  }
}
