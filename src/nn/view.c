#include "avi/nn.h"

avi_view avi_view_of(const avi_shape *data)
{
    const int64_t channels = data->channels > 1 ? data->channels : 1, height = data->height > 1 ? data->height : 1,
                  width = data->width / channels / height;
    avi_view v = {.planes = 1, .channels = channels, .height = height, .width = width, .plane_stride = data->width};
    v.channel_stride = data->channels_last ? 1 : height * width;
    v.column_stride = data->channels_last ? channels : 1;
    v.row_stride = width * v.column_stride;
    return v;
}

int64_t avi_view_values(const avi_view *v) { return v->planes * v->channels * v->height * v->width; }
