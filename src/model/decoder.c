#include "model/decoder.h"

#include <stdio.h>
#include <string.h>

/* The image has P channels for each one of the data. With channels first, output p of all values comes after output p -
 * 1 of all of them; with channels last the P outputs of a value are beside each other. */
static void widen(avi_view *image, avi_likelihood *likelihood)
{
    const int64_t outputs = likelihood->outputs;
    if (outputs == 1) return;
    if (image->channels > 1 && image->channel_stride == 1) {
        image->row_stride *= outputs;
        image->column_stride *= outputs;
        likelihood->output_stride = 1;
        likelihood->value_stride = outputs;
    } else if (image->channels == 1)
        image->channel_stride = image->height * image->width;
    image->plane_stride *= outputs;
    image->channels *= outputs;
}

static avi_status create_conv(avi_decoder *d, const avi_config *config, const avi_shape *shape, int64_t latent,
                              avi_likelihood *likelihood, avi_params *theta)
{
    avi_view image = avi_view_of(shape);
    if (image.height == 1 && image.channels == 1)
        return avi_config_fail(
            config, "model", "decoder",
            "a row is %lld plain values and no image; use data.height where a row of a table is one, "
            "or mlp",
            (long long)image.width);
    widen(&image, likelihood);
    AVI_TRY(avi_convolutions_read(config, "model", &image, false, d->dense.activation, &d->convolutions));
    d->dense.activate_output = true;
    AVI_TRY(avi_network_declare(&d->dense, "decoder", latent, avi_convolutions_values(&d->convolutions), theta));
    return avi_convolutions_declare(&d->convolutions, "decoder.convolution", true, theta);
}

/* The decoder goes from the dimensions of z to the columns of the data. */
static avi_status name_axes(const avi_decoder *d, int64_t outputs, avi_params *theta)
{
    char last[32];
    snprintf(last, sizeof last, "decoder_%d_output", d->dense.hidden);
    AVI_TRY(avi_params_name_axis(theta, "decoder_0_input", "dimension"));
    return d->conv || outputs > 1 ? AVI_OK : avi_params_name_axis(theta, last, "column");
}

avi_status avi_decoder_create(avi_decoder *d, const avi_config *config, const avi_shape *shape, int64_t latent,
                              avi_likelihood *likelihood, avi_params *theta)
{
    AVI_TRY(avi_network_read(config, "model", &d->dense));
    d->conv = !strcmp(avi_config_get_string(config, "model", "decoder"), "conv");
    if (d->conv)
        AVI_TRY(create_conv(d, config, shape, latent, likelihood, theta));
    else
        AVI_TRY(avi_network_declare(&d->dense, "decoder", latent, shape->width * likelihood->outputs, theta));
    return name_axes(d, likelihood->outputs, theta);
}

avi_node *avi_decoder_forward(const avi_decoder *d, avi_tape *t, avi_node *z, avi_node *const *theta)
{
    avi_node *h = avi_network_forward(&d->dense, t, z, theta);
    return d->conv ? avi_convolutions_back(&d->convolutions, t, h, theta + avi_network_blocks(&d->dense)) : h;
}
