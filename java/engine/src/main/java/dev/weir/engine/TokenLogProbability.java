package dev.weir.engine;

/**
 * One of the most likely tokens at a position.
 *
 * @param id token id
 * @param logProbability natural logarithm of its probability under the model, before penalties,
 *     temperature and filters
 */
public record TokenLogProbability(int id, float logProbability) {}
