package dev.weir.engine;

import java.util.List;

/**
 * A token as it leaves the engine.
 *
 * @param id token id
 * @param text the text that this token completes; often empty, because characters may be spread
 *     over several tokens, and text that may be the beginning of a stop string is held back until
 *     that is decided. The texts of all tokens, put together, are {@link GenerationResult#text()};
 *     only after {@link FinishReason#CANCELLED} and {@link FinishReason#DEADLINE} that may have
 *     more at its end, which was held back when the generation ended
 * @param logProbability natural logarithm of the token's probability under the model, before
 *     penalties, temperature and filters
 * @param top the most likely tokens at this position, best first; as many as {@link
 *     GenerationRequest#topLogProbabilities()}
 * @param nanoTime {@link System#nanoTime()} when the token was sampled
 */
public record GeneratedToken(
    int id, String text, float logProbability, List<TokenLogProbability> top, long nanoTime) {}
